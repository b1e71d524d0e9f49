//! Bounds on rates: connections that come, bytes that leave.
//!
//! Both are the same clock: each unit moves the moment of the next one on by its share of a second. What comes sooner
//! waits until then; a pause is saved up for at most a second.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::state::lock;

/// What is saved up at most.
const SAVED: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Clock {
    per_second: u64,
    next: Option<Instant>,
}

impl Clock {
    /// Moves on by `units` and returns how long to wait before they go; `None` without a rate.
    fn take(&mut self, units: u64, now: Instant) -> Option<Duration> {
        if self.per_second == 0 {
            return None;
        }
        let earliest = now.checked_sub(SAVED).unwrap_or(now);
        let start = self.next.map_or(earliest, |next| next.max(earliest));
        self.next = Some(start + Duration::from_secs_f64(units as f64 / self.per_second as f64));
        Some(start.saturating_duration_since(now))
    }
}

/// How fast connections may come.
#[derive(Debug, Default)]
pub struct Bucket(Mutex<Clock>);

impl Bucket {
    /// Connections a second; 0 for no bound.
    pub fn set_rate(&self, per_second: u32) {
        lock(&self.0).per_second = per_second.into();
    }

    /// How long a new connection must wait; `None` when it would be longer than `most`, and then it does not count.
    #[must_use]
    pub fn take(&self, most: Duration) -> Option<Duration> {
        let mut clock = lock(&self.0);
        let now = Instant::now();
        if clock.next.is_some_and(|next| next.saturating_duration_since(now) > most) {
            return None;
        }
        Some(clock.take(1, now).unwrap_or_default())
    }
}

/// How fast bytes may leave, over all connections.
#[derive(Debug, Default)]
pub struct Pace(Mutex<Clock>);

impl Pace {
    /// Bytes a second; 0 for no bound.
    pub fn set_rate(&self, per_second: u64) {
        lock(&self.0).per_second = per_second;
    }

    /// Whether there is a bound.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        lock(&self.0).per_second != 0
    }

    /// When so many bytes may leave; `None` for now.
    #[must_use]
    pub fn take(&self, bytes: usize) -> Option<Instant> {
        let now = Instant::now();
        let wait = lock(&self.0).take(bytes as u64, now)?;
        (!wait.is_zero()).then(|| now + wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_saved_up_and_then_the_rate_holds() {
        let mut clock = Clock { per_second: 10, next: None };
        let now = Instant::now();
        let waits: Vec<_> = (0..12).filter_map(|_| clock.take(1, now)).collect();
        assert_eq!(waits[..10], [Duration::ZERO; 10]);
        assert_eq!(waits[10], Duration::ZERO);
        assert_eq!(waits[11], Duration::from_millis(100));
        let later = now + Duration::from_secs(60);
        assert_eq!((0..11).filter_map(|_| clock.take(1, later)).max(), Some(Duration::ZERO));
    }

    #[test]
    fn without_a_rate_nothing_waits() {
        assert_eq!(Clock::default().take(u64::from(u32::MAX), Instant::now()), None);
        assert_eq!(Pace::default().take(1 << 30), None);
        assert_eq!(Bucket::default().take(Duration::ZERO), Some(Duration::ZERO));
    }

    #[test]
    fn connections_that_would_wait_too_long_are_turned_away() {
        let bucket = Bucket::default();
        bucket.set_rate(10);
        let taken = (0..100).filter(|_| bucket.take(Duration::from_millis(500)).is_some()).count();
        assert!((15..=18).contains(&taken), "{taken}");
    }
}
