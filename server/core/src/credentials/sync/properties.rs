//! What holds whatever happens in whatever order, against an imitated server whose refresh tokens work once.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::credentials::CredentialFile;
use crate::credentials::testing::{ACCOUNT, HOUR, NOW, OTHER_ACCOUNT, blank, file};

/// The other end: who has which login, which is used up, which works.
#[derive(Default)]
struct Server {
    issued: u32,
    /// By number: the login session it belongs to.
    session: BTreeMap<u32, u32>,
    used: BTreeSet<u32>,
    ended_sessions: BTreeSet<u32>,
    reuses: u32,
}

impl Server {
    fn issue(&mut self, session: u32) -> u32 {
        self.issued += 1;
        self.session.insert(self.issued, session);
        self.issued
    }

    fn sign_in(&mut self) -> u32 {
        self.issue(1000 + self.issued)
    }

    /// What comes for a refresh token; a used one ends the session, as servers that detect reuse do.
    fn renew(&mut self, number: u32) -> Option<u32> {
        let session = self.session[&number];
        if !self.used.insert(number) {
            self.reuses += 1;
            self.ended_sessions.insert(session);
        }
        (!self.ended_sessions.contains(&session)).then(|| self.issue(session))
    }

    fn works(&self, number: u32) -> bool {
        !self.used.contains(&number) && !self.ended_sessions.contains(&self.session[&number])
    }
}

/// A place with a credential file and a clock of its own.
struct Place {
    file: CredentialFile,
    skew_ms: i64,
}

impl Place {
    fn new(skew_ms: i64) -> Self {
        Self { file: CredentialFile::default(), skew_ms }
    }

    /// The number of the login that is here.
    fn number(&self) -> Option<u32> {
        let text = self.file.render();
        let rest = text.reveal().split_once("refresh-")?.1;
        rest.split('"').next()?.parse().ok()
    }

    fn write(&mut self, number: u32, account: &str, now_ms: i64) {
        let made_ms = now_ms + self.skew_ms;
        self.file = file(&json!({"claudeAiOauth": {
            "accessToken": format!("access-{number}"), "refreshToken": format!("refresh-{number}"),
            "expiresAt": made_ms + 8 * HOUR, "refreshTokenExpiresAt": made_ms + 720 * HOUR,
            "scopes": ["user:inference"], "accountUuid": account,
        }}));
    }

    fn account(&self) -> Option<String> {
        self.file.view().account.map(|account| account.as_str().to_owned())
    }

    /// Claude Code renews its login here, or is refused and leaves a blank one.
    fn renew(&mut self, server: &mut Server, now_ms: i64) {
        let (Some(number), Some(account)) = (self.number(), self.account()) else { return };
        match server.renew(number) {
            Some(next) => self.write(next, &account, now_ms),
            None => self.file = blank(Some(&account)),
        }
    }
}

/// Where a synchronisation is killed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cut {
    Nowhere,
    BeforeCopy,
    AfterCopy,
}

/// Carries out one decision, as the daemon does it.
fn synchronise(host: &mut Place, sandbox: &mut Place, record: &mut Record, now_ms: i64, cut: Cut) -> Decision {
    let clock = Clock::at(now_ms);
    let decision = decide(Some(&host.file.view()), Some(&sandbox.file.view()), record, &clock);
    record.begin(&decision, &host.file.view(), &sandbox.file.view());
    *record = Record::parse(&record.render());
    if let Decision::Copy { from, part, .. } = &decision {
        if cut == Cut::BeforeCopy {
            return decision;
        }
        let (source, target) = match from {
            Side::Host => (&host.file, &mut sandbox.file),
            Side::Sandbox => (&sandbox.file, &mut host.file),
        };
        match part {
            Part::Login => target.set_login(Some(source)),
            Part::AccessToken => target.set_login(source.access_only().as_ref()),
        }
    }
    if cut != Cut::AfterCopy {
        record.settle(&host.file.view(), &sandbox.file.view());
    }
    decision
}

fn skew() -> impl Strategy<Value = i64> {
    -4 * 60_000..4 * 60_000_i64
}

fn cut() -> impl Strategy<Value = Cut> {
    prop_oneof![4 => Just(Cut::Nowhere), 1 => Just(Cut::BeforeCopy), 1 => Just(Cut::AfterCopy)]
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Renew(Side),
    SignIn(Side),
    SignInElsewhere(Side),
    SignOut(Side),
    /// The server renews, and the answer is lost on the way.
    LoseAnswer(Side),
    Synchronise(Cut),
    Wait(i64),
}

fn act() -> impl Strategy<Value = Act> {
    let side = || prop_oneof![Just(Side::Host), Just(Side::Sandbox)];
    prop_oneof![
        4 => side().prop_map(Act::Renew),
        2 => side().prop_map(Act::SignIn),
        1 => side().prop_map(Act::SignInElsewhere),
        1 => side().prop_map(Act::SignOut),
        1 => side().prop_map(Act::LoseAnswer),
        8 => cut().prop_map(Act::Synchronise),
        2 => (1..20 * 60_000_i64).prop_map(Act::Wait),
    ]
}

proptest! {
    /// Both sides do what they like, and synchronisation comes at any time and is killed anywhere.
    #[test]
    fn the_newest_login_that_works_is_never_lost(
        acts in prop::collection::vec(act(), 1..40), host_skew in skew(), sandbox_skew in skew(),
    ) {
        let mut server = Server::default();
        let (mut host, mut sandbox) = (Place::new(host_skew), Place::new(sandbox_skew));
        let (mut record, mut now_ms, mut was_answer_lost) = (Record::default(), NOW, false);
        for act in acts {
            // Nothing happens at the same moment; how little lies between is what the clocks' differences hide.
            now_ms += 1000;
            let mut at = |side: Side, act: &mut dyn FnMut(&mut Place, &mut Server)| match side {
                Side::Host => act(&mut host, &mut server),
                Side::Sandbox => act(&mut sandbox, &mut server),
            };
            match act {
                Act::Wait(time_ms) => now_ms += time_ms,
                Act::Renew(side) => at(side, &mut |place, server| place.renew(server, now_ms)),
                Act::SignIn(side) => at(side, &mut |place, server| place.write(server.sign_in(), ACCOUNT, now_ms)),
                Act::SignInElsewhere(side) => {
                    at(side, &mut |place, server| place.write(server.sign_in(), OTHER_ACCOUNT, now_ms));
                }
                Act::SignOut(side) => at(side, &mut |place, _| place.file.set_login(None)),
                Act::LoseAnswer(side) => at(side, &mut |place, server| {
                    if let Some(number) = place.number() {
                        let _ = server.renew(number);
                        was_answer_lost = true;
                    }
                }),
                Act::Synchronise(cut) => {
                    let before = [host.number(), sandbox.number()];
                    let accounts = [host.account(), sandbox.account()];
                    let was_cut_before = record.render().contains("pending");
                    let decision = synchronise(&mut host, &mut sandbox, &mut record, now_ms, cut);
                    let after = [host.number(), sandbox.number()];
                    let working = |numbers: [Option<u32>; 2]| {
                        numbers.into_iter().flatten().filter(|number| server.works(*number)).max()
                    };
                    // Where an answer was lost, a login that looks like the newest works no more, and nobody can
                    // know it: the copy that the daemon keeps of what it replaces is for this.
                    if !was_answer_lost {
                        prop_assert_eq!(working(before), working(after), "the newest that works is still there");
                    }
                    let newest = |numbers: [Option<u32>; 2]| numbers.into_iter().flatten().max();
                    prop_assert_eq!(newest(before), newest(after), "the newest is still there");
                    if let Decision::Copy { from, part, .. } = decision {
                        let (source, target) = match from {
                            Side::Host => (0, 1),
                            Side::Sandbox => (1, 0),
                        };
                        prop_assert!(before[source].is_some(), "only a login is ever a source");
                        prop_assert!(before[source] > before[target], "newer never loses to older");
                        if accounts.iter().all(Option::is_some) {
                            prop_assert_eq!(&accounts[0], &accounts[1], "another account's is never written over");
                        }
                        if part == Part::Login && !was_answer_lost && !was_cut_before {
                            let number = before[source].expect("a login");
                            prop_assert!(!server.used.contains(&number), "a used one is never handed on");
                        }
                    }
                    if cut == Cut::Nowhere && matches!(decision, Decision::Copy { part: Part::Login, .. }) {
                        prop_assert_eq!(after[0], after[1]);
                    }
                }
            }
        }
    }

    /// The host and three sandboxes, each renewing when it likes; synchronised before the next one acts, though it
    /// may be killed and begun again in between.
    #[test]
    fn nobody_presents_a_used_token(
        renewals in prop::collection::vec((0..4_usize, 0..10 * HOUR, cut(), 0..3_usize), 1..24),
        skews in prop::array::uniform4(skew()),
    ) {
        let mut server = Server::default();
        let mut places = skews.map(Place::new);
        let mut records: [Record; 3] = Default::default();
        let mut now_ms = NOW;
        places[0].write(server.sign_in(), ACCOUNT, now_ms);
        let mut everybody = |places: &mut [Place; 4], now_ms: i64, first: usize, cut: Cut| {
            let [host, sandboxes @ ..] = places;
            // Once to be killed, and twice more, since the last sandbox may be the one that has news for the first.
            for round in 0..3 {
                for step in 0..3 {
                    let at = (first + step) % 3;
                    let cut = if round == 0 { cut } else { Cut::Nowhere };
                    synchronise(host, &mut sandboxes[at], &mut records[at], now_ms, cut);
                }
            }
        };
        everybody(&mut places, now_ms, 0, Cut::Nowhere);
        for (who, wait_ms, cut, first) in renewals {
            now_ms += 1000 + wait_ms;
            places[who].renew(&mut server, now_ms);
            everybody(&mut places, now_ms, first, cut);
            prop_assert_eq!(server.reuses, 0);
            for place in &places {
                prop_assert_eq!(place.number(), Some(server.issued), "everybody has the newest");
            }
        }
    }

    /// Any two files and any record: the answer depends on nothing else, and exchanging the sides exchanges the answer.
    #[test]
    fn no_side_is_preferred(a in 0..6_u32, b in 0..6_u32, settled in prop::collection::vec(0..6_u32, 0..4), skewed in skew()) {
        let place = |number: u32| {
            let mut place = Place::new(skewed * i64::from(number % 2));
            match number {
                0 => {}
                1 => place.file = blank(Some(ACCOUNT)),
                _ => place.write(number, ACCOUNT, NOW + i64::from(number) * 60_000),
            }
            place.file.view()
        };
        let mut record = Record::default();
        for number in settled {
            record.settle(&place(number), &place(number));
        }
        let clock = Clock::at(NOW);
        let (one, two) = (place(a), place(b));
        let from = |decision: &Decision| match decision {
            Decision::Copy { from, .. } => Some(*from),
            _ => None,
        };
        let there = decide(Some(&one), Some(&two), &record, &clock);
        let back = decide(Some(&two), Some(&one), &record, &clock);
        prop_assert_eq!(from(&there), from(&back).map(other));
        prop_assert_eq!(there, decide(Some(&one), Some(&two), &record, &clock));
    }
}
