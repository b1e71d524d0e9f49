//! Requests that go wrong on purpose.

/// Which requests are meant: a method, and pieces of the path in their order.
#[derive(Debug, Clone)]
pub struct Matcher {
    method: Option<String>,
    pieces: Vec<String>,
}

impl Matcher {
    /// Requests of a method whose path, without its version, contains `path`; a `*` in it stands for anything.
    #[must_use]
    pub fn new(method: &str, path: &str) -> Self {
        Self { method: Some(method.to_owned()), ..Self::path(path) }
    }

    /// Requests of any method.
    #[must_use]
    pub fn path(path: &str) -> Self {
        Self { method: None, pieces: path.split('*').map(str::to_owned).collect() }
    }

    /// Requests that change something.
    #[must_use]
    pub fn changes() -> Self {
        Self { method: Some("!GET".to_owned()), pieces: Vec::new() }
    }

    pub(super) fn matches(&self, method: &str, path: &str) -> bool {
        let is_method = match self.method.as_deref() {
            None => true,
            Some("!GET") => !matches!(method, "GET" | "HEAD"),
            Some(wanted) => wanted == method,
        };
        let mut rest = Some(path);
        for piece in &self.pieces {
            rest = rest.and_then(|rest| rest.split_once(piece.as_str())).map(|(_, after)| after);
        }
        is_method && rest.is_some()
    }
}

impl From<(&str, &str)> for Matcher {
    fn from((method, path): (&str, &str)) -> Self {
        Self::new(method, path)
    }
}

/// What happens to a request that is met.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// It is answered with an error and does nothing.
    Fail { status: u16, message: String },
    /// It is never answered and does nothing.
    Hang,
    /// Its connection is closed without an answer and it does nothing.
    Drop,
    /// It is done, and its connection is closed without an answer.
    LoseAnswer,
}

struct Rule {
    matcher: Matcher,
    fault: Fault,
    /// Matching requests that pass before the rule begins.
    passes: usize,
    is_once: bool,
}

/// The rules in force; the oldest that fits decides.
#[derive(Default)]
pub(super) struct Faults {
    rules: Vec<Rule>,
}

impl Faults {
    pub(super) fn add(&mut self, matcher: Matcher, fault: Fault, passes: usize, is_once: bool) {
        self.rules.push(Rule { matcher, fault, passes, is_once });
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(super) fn meet(&mut self, method: &str, path: &str) -> Option<Fault> {
        let mut met = None;
        for (index, rule) in self.rules.iter_mut().enumerate() {
            if !rule.matcher.matches(method, path) {
                continue;
            }
            if rule.passes > 0 {
                rule.passes -= 1;
                continue;
            }
            met = Some(index);
            break;
        }
        let index = met?;
        let fault = self.rules[index].fault.clone();
        if self.rules[index].is_once {
            self.rules.remove(index);
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_match_by_their_pieces_in_order() {
        let matcher = Matcher::new("POST", "/containers/*/start");
        assert!(matcher.matches("POST", "/containers/abc/start"));
        assert!(!matcher.matches("POST", "/exec/abc/start"));
        assert!(!matcher.matches("GET", "/containers/abc/start"));
        assert!(Matcher::path("/start").matches("POST", "/exec/abc/start"));
        assert!(Matcher::changes().matches("DELETE", "/x") && !Matcher::changes().matches("HEAD", "/x"));
    }

    #[test]
    fn a_rule_can_let_requests_pass_first() {
        let mut faults = Faults::default();
        faults.add(Matcher::path("/x"), Fault::Drop, 2, true);
        let met: Vec<bool> = (0..4).map(|_| faults.meet("GET", "/x").is_some()).collect();
        assert_eq!(met, [false, false, true, false]);
    }
}
