//! The server's sockets: how many questions are taken, how long each may be, and how long it may take.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{MAX_QUESTION, Zone, answer};
use crate::addresses::Subnet;
use crate::limits::Bucket;

/// Questions a second; after a pause so many may come at once as well. A busy build asks some ten a second.
const PER_SECOND: u32 = 500;
/// Connections at a time; each is for clients that got no answer otherwise, which does not happen.
const CONNECTIONS: usize = 16;
/// How long a connection may take for the next question and its answer, and how many it may ask.
const PATIENCE: Duration = Duration::from_secs(5);
const PER_CONNECTION: usize = 100;

/// Answers on both sockets for ever. Only those in `subnet` are answered.
pub async fn serve<Z>(udp: UdpSocket, tcp: TcpListener, zone: Z, subnet: Subnet)
where
    Z: Zone + Clone + Send + Sync + 'static,
{
    let bucket = Arc::new(Bucket::default());
    bucket.set_rate(PER_SECOND);
    tokio::join!(datagrams(&udp, &zone, subnet, &bucket), connections(&tcp, &zone, subnet, &bucket));
}

fn is_inside(subnet: Subnet, peer: SocketAddr) -> bool {
    matches!(peer.ip(), IpAddr::V4(address) if subnet.contains(address))
}

/// A question that would have to wait is dropped: the client asks again.
fn is_in_time(bucket: &Bucket) -> bool {
    bucket.take(Duration::ZERO).is_some()
}

async fn datagrams(socket: &UdpSocket, zone: &impl Zone, subnet: Subnet, bucket: &Bucket) {
    // One more than is read, so that what was cut off is seen as too long.
    let mut buffer = [0; MAX_QUESTION + 1];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, peer)) if is_inside(subnet, peer) && is_in_time(bucket) => {
                if let Some(answer) = answer(&buffer[..length], zone) {
                    // A client that did not get it asks again.
                    let _ = socket.try_send_to(&answer, peer);
                }
            }
            Ok(_) => {}
            // Told of an earlier answer that nobody took, or of memory that is short: the socket stays.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

async fn connections<Z>(listener: &TcpListener, zone: &Z, subnet: Subnet, bucket: &Arc<Bucket>)
where
    Z: Zone + Clone + Send + Sync + 'static,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            // Out of descriptors: those that are open come to their end within seconds.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        if !is_inside(subnet, peer) {
            continue;
        }
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let (zone, bucket) = (zone.clone(), Arc::clone(bucket));
        tokio::spawn(async move {
            // However it ends, the client sees the connection closed.
            let _ = converse(stream, &zone, &bucket).await;
            drop(place);
        });
    }
}

async fn converse(mut stream: TcpStream, zone: &impl Zone, bucket: &Bucket) -> io::Result<()> {
    for _ in 0..PER_CONNECTION {
        if !timeout(PATIENCE, exchange(&mut stream, zone, bucket)).await?? {
            break;
        }
    }
    Ok(())
}

/// One question and its answer; false when the connection is to be closed.
async fn exchange(stream: &mut TcpStream, zone: &impl Zone, bucket: &Bucket) -> io::Result<bool> {
    let length = usize::from(stream.read_u16().await?);
    if length > MAX_QUESTION || !is_in_time(bucket) {
        return Ok(false);
    }
    let mut question = vec![0; length];
    stream.read_exact(&mut question).await?;
    let Some(answer) = answer(&question, zone) else { return Ok(false) };
    let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), &answer[..]].concat()).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::tests::{Fixed, question};

    async fn started(subnet: &str) -> SocketAddr {
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = tcp.local_addr().expect("its address");
        let udp = UdpSocket::bind(address).await.expect("the same port");
        tokio::spawn(serve(udp, tcp, Fixed, subnet.parse().expect("a subnet")));
        address
    }

    async fn ask_udp(server: SocketAddr, bytes: &[u8]) -> Option<Vec<u8>> {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        socket.send_to(bytes, server).await.expect("sent");
        let mut buffer = [0; 2048];
        let length = timeout(Duration::from_millis(300), socket.recv(&mut buffer)).await.ok()?.expect("an answer");
        Some(buffer[..length].to_vec())
    }

    async fn ask_tcp(server: SocketAddr, length: u16, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(server).await.expect("connected");
        stream.write_all(&[&length.to_be_bytes(), bytes].concat()).await.expect("sent");
        stream.shutdown().await.expect("ended");
        let mut answer = Vec::new();
        // A server that leaves bytes unread ends with a reset.
        let _ = stream.read_to_end(&mut answer).await;
        answer
    }

    #[tokio::test]
    async fn both_transports_give_the_same_answer() {
        let server = started("127.0.0.0/16").await;
        let question = question("allowed.example.", 1);
        let expected = answer(&question, &Fixed).expect("an answer");
        assert_eq!(ask_udp(server, &question).await, Some(expected.clone()));
        let length = u16::try_from(question.len()).expect("short");
        assert_eq!(ask_tcp(server, length, &question).await[2..], expected);
    }

    #[tokio::test]
    async fn those_outside_of_the_subnet_and_overlong_questions_get_nothing() {
        let question = question("allowed.example.", 1);
        let length = u16::try_from(question.len()).expect("short");
        let server = started("198.18.4.0/22").await;
        assert_eq!(ask_udp(server, &question).await, None);
        assert_eq!(ask_tcp(server, length, &question).await, Vec::<u8>::new());
        let server = started("127.0.0.0/16").await;
        assert_eq!(ask_tcp(server, u16::MAX, &question).await, Vec::<u8>::new());
        assert_eq!(ask_tcp(server, length + 1, &question).await, Vec::<u8>::new());
    }
}
