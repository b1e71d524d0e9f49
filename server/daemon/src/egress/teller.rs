//! Tells decisions to clients without flooding them: so many a second one by one, the rest put together.

use std::time::{Duration, Instant};

use boxwood_protocol::egress::EgressDecision;

/// Decisions told in one second.
const A_SECOND: u32 = 20;
/// Different ones that wait to be told; what comes beyond is only in the log.
const WAITING: usize = 200;

/// What was told and what waits.
#[derive(Debug, Default)]
pub(super) struct Teller {
    second: Option<Instant>,
    told: u32,
    waiting: Vec<EgressDecision>,
    /// Whether somebody comes back for what waits.
    is_due: bool,
}

/// What to do with a decision.
#[derive(Debug, PartialEq)]
pub(super) enum Turn {
    /// Tell it now.
    Now(EgressDecision),
    /// It waits; come back after this time.
    Later(Duration),
    /// It waits, and somebody comes back already.
    Waits,
}

impl Teller {
    pub(super) fn add(&mut self, decision: EgressDecision, now: Instant) -> Turn {
        let left = self.left(now);
        if self.waiting.is_empty() && self.told < A_SECOND {
            self.told += 1;
            return Turn::Now(decision);
        }
        let same = |kept: &EgressDecision| {
            (&kept.host, kept.port, kept.via, kept.action)
                == (&decision.host, decision.port, decision.via, decision.action)
        };
        match self.waiting.iter().position(same) {
            Some(at) => {
                let kept = &mut self.waiting[at];
                let (up, down) = (kept.bytes_up + decision.bytes_up, kept.bytes_down + decision.bytes_down);
                let count = kept.count.saturating_add(decision.count);
                *kept = EgressDecision { count, bytes_up: up, bytes_down: down, ..decision };
            }
            None if self.waiting.len() < WAITING => self.waiting.push(decision),
            None => {}
        }
        if std::mem::replace(&mut self.is_due, true) { Turn::Waits } else { Turn::Later(left) }
    }

    /// What may be told now, and when to come back for the rest.
    pub(super) fn due(&mut self, now: Instant) -> (Vec<EgressDecision>, Option<Duration>) {
        let left = self.left(now);
        let room = (A_SECOND.saturating_sub(self.told) as usize).min(self.waiting.len());
        let told: Vec<_> = self.waiting.drain(..room).collect();
        self.told += u32::try_from(room).unwrap_or(A_SECOND);
        self.is_due = !self.waiting.is_empty();
        (told, self.is_due.then_some(left))
    }

    /// What is left of the second, which begins anew when it is over.
    fn left(&mut self, now: Instant) -> Duration {
        let second = Duration::from_secs(1);
        let began = self.second.filter(|began| now.duration_since(*began) < second).unwrap_or_else(|| {
            self.told = 0;
            now
        });
        self.second = Some(began);
        second.saturating_sub(now.duration_since(began))
    }
}

#[cfg(test)]
mod tests {
    use boxwood_protocol::egress::EgressAction;

    use super::*;
    use crate::egress::fake::decision;

    #[test]
    fn a_flood_is_put_together() {
        let mut teller = Teller::default();
        let now = Instant::now();
        let mut turns = Vec::new();
        for serial in 0..100 {
            let host = if serial % 2 == 0 { "a.example" } else { "b.example" };
            turns.push(teller.add(decision(serial, host, EgressAction::Deny), now));
        }
        assert_eq!(turns.iter().filter(|turn| matches!(turn, Turn::Now(_))).count(), 20);
        assert_eq!(turns.iter().filter(|turn| matches!(turn, Turn::Later(_))).count(), 1);
        assert_eq!(teller.due(now), (Vec::new(), Some(Duration::from_secs(1))), "the second is not over");
        let (told, again) = teller.due(now + Duration::from_secs(1));
        assert_eq!(
            told.iter().map(|one| (one.host.as_str(), one.count)).collect::<Vec<_>>(),
            [("a.example", 40), ("b.example", 40)]
        );
        assert_eq!(again, None);
        let next = teller.add(decision(100, "a.example", EgressAction::Deny), now + Duration::from_secs(1));
        assert!(matches!(next, Turn::Now(_)));
    }
}
