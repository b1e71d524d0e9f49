use super::*;

fn name(text: &str) -> Host {
    Host::parse(text).expect("a host")
}

fn at(place: &Place, target: &str, hosts: &[&str]) -> Result<String, TargetError> {
    let mut request = Request::builder().uri(target);
    for host in hosts {
        request = request.header(HOST, *host);
    }
    let request = request.body(()).expect("a request");
    read(&request, place).map(|target| format!("{} {} {} {}", target.host, target.port, target.authority, target.path))
}

fn clear(host: Option<&str>, port: u16) -> Place {
    Place::Clear { host: host.map(name), port }
}

#[test]
fn a_host_is_read_with_its_port() {
    let read = |text: &str| authority(text).map(|(host, port)| (host.to_string(), port));
    assert_eq!(read("A.Example."), Some(("a.example".into(), None)));
    assert_eq!(read("a.example:8080"), Some(("a.example".into(), Some(8080))));
    assert_eq!(read("[2001:db8::1]:80"), Some(("2001:db8::1".into(), Some(80))));
    assert_eq!(read("[::ffff:1.2.3.4]"), Some(("1.2.3.4".into(), None)));
    for bad in [
        "",
        ":80",
        "a.example:",
        "a.example:0",
        "a.example:99999",
        "a.example:+80",
        "u@a.example",
        "a b",
        "a.example:80:80",
        "[::1",
        "::1",
        "a.example/",
    ] {
        assert_eq!(read(bad), None, "{bad}");
    }
}

#[test]
fn the_proxy_goes_where_the_whole_address_says() {
    let at = |target: &str, hosts: &[&str]| at(&Place::Proxy, target, hosts);
    assert_eq!(at("http://A.example/x?y", &["a.example"]), Ok("a.example 80 a.example /x?y".into()));
    assert_eq!(at("http://a.example:81/", &["a.example:81"]), Ok("a.example 81 a.example:81 /".into()));
    assert_eq!(at("http://a.example", &["a.example:80"]), Ok("a.example 80 a.example /".into()));
    assert_eq!(at("http://a.example/", &["b.example"]), Err(TargetError::Conflict));
    assert_eq!(at("http://a.example/", &["a.example:81"]), Err(TargetError::Conflict));
    assert_eq!(at("http://u@a.example/", &["a.example"]), Err(TargetError::BadHost));
    assert_eq!(at("https://a.example/", &["a.example"]), Err(TargetError::BadTarget));
    assert_eq!(at("/", &["a.example"]), Err(TargetError::BadTarget));
}

#[test]
fn a_connection_to_a_host_is_for_that_host_only() {
    let place = clear(Some("a.example"), 80);
    assert_eq!(at(&place, "/", &["A.EXAMPLE"]), Ok("a.example 80 a.example /".into()));
    assert_eq!(at(&place, "http://a.example/", &["a.example"]), Ok("a.example 80 a.example /".into()));
    assert_eq!(at(&place, "/", &["b.example"]), Err(TargetError::Mismatch("b.example".into())));
    assert_eq!(at(&place, "/", &["a.example:81"]), Err(TargetError::Mismatch("a.example:81".into())));
    assert_eq!(at(&place, "/", &[]), Err(TargetError::NoHost));
    assert_eq!(at(&place, "/", &["a.example", "a.example"]), Err(TargetError::BadHost));
    let opened = Place::Opened { host: name("a.example"), port: 443 };
    assert_eq!(at(&opened, "https://a.example/", &["a.example:443"]), Ok("a.example 443 a.example /".into()));
    assert_eq!(at(&opened, "http://a.example/", &["a.example"]), Err(TargetError::BadTarget));
    assert_eq!(at(&opened, "/", &["b.example"]), Err(TargetError::Mismatch("b.example".into())));
}

#[test]
fn without_an_address_that_says_it_the_header_does() {
    assert_eq!(at(&clear(None, 8080), "/", &["a.example:8080"]), Ok("a.example 8080 a.example:8080 /".into()));
    assert_eq!(at(&clear(None, 8080), "/", &["a.example"]), Ok("a.example 8080 a.example /".into()));
    assert_eq!(at(&clear(None, 80), "/", &["a.example:8080"]), Err(TargetError::Mismatch("a.example:8080".into())));
}

#[test]
fn old_requests_need_no_header_when_the_address_says_it() {
    let request = Request::builder().version(Version::HTTP_10).uri("/").body(()).expect("a request");
    assert!(read(&request, &clear(Some("a.example"), 80)).is_ok());
    assert_eq!(read(&request, &clear(None, 80)), Err(TargetError::NoHost));
}

#[test]
fn lengths_are_said_once() {
    let with = |headers: &[(&str, &str)]| {
        let mut request = Request::builder().uri("/").header(HOST, "a.example");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(&request.body(()).expect("a request"), &clear(None, 80)).map(|_| ())
    };
    assert_eq!(with(&[("transfer-encoding", "chunked")]), Ok(()));
    assert_eq!(with(&[("content-length", "1")]), Ok(()));
    for bad in [
        &[("transfer-encoding", "gzip, chunked")][..],
        &[("transfer-encoding", "chunked"), ("content-length", "1")],
        &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
        &[("content-length", "1"), ("content-length", "1")],
    ] {
        assert_eq!(with(bad), Err(TargetError::Length), "{bad:?}");
    }
}
