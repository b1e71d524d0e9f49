//! Memory that a burst of connections took goes back to the system when the burst is over: the C library keeps what lies
//! between pieces that are still in use, and a gateway is idle most of the time.

use std::time::Duration;

use crate::flows::Flows;

/// How long after a burst: those that end together are over by then.
const PAUSE: Duration = Duration::from_secs(1);

/// Gives memory back whenever a burst is over, for ever.
pub async fn give_back(flows: &Flows) {
    loop {
        flows.ebbed().await;
        tokio::time::sleep(PAUSE).await;
        flows.begin_burst();
        trim();
    }
}

#[cfg(target_env = "gnu")]
fn trim() {
    #[expect(
        unsafe_code,
        reason = "declares a function of the C library that takes a number and touches nothing of ours"
    )]
    unsafe extern "C" {
        safe fn malloc_trim(pad: usize) -> core::ffi::c_int;
    }

    // Whether there was anything to give back does not matter.
    let _ = malloc_trim(0);
}

/// Other C libraries give it back by themselves.
#[cfg(not(target_env = "gnu"))]
const fn trim() {}
