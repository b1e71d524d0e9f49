use boxwood_protocol::egress::{EgressAction, EgressLayer, EgressPolicy, EgressRule, PlacedRule};

use crate::egress::judge::{REASON_NEVER, REASON_PRIVATE};
use crate::egress::policy::rule_for;
use crate::egress::{Compiled, Host, Judged, Query, Requests};
use EgressAction::{Allow, Ask, Deny};
use EgressLayer::{BuiltIn, Bypass, Default, Preset, Project, Remembered, Request, Session, User, UserDeny};

fn rule(layer: EgressLayer, action: EgressAction, text: &str) -> PlacedRule {
    PlacedRule { layer, preset: None, rule: rule_for(text, action).expect(text) }
}

fn with(layer: EgressLayer, action: EgressAction, text: &str, change: impl FnOnce(&mut EgressRule)) -> PlacedRule {
    let mut placed = rule(layer, action, text);
    change(&mut placed.rule);
    placed
}

fn policy(rules: &[PlacedRule]) -> EgressPolicy {
    EgressPolicy {
        rules: rules.to_vec(),
        default: Ask,
        hold_seconds: 60,
        connections: 1024,
        connections_per_second: 200,
        upload_bytes: 0,
        upload_bytes_per_second: 0,
        bypass_until_ms: 1000,
    }
}

fn compiled(rules: &[PlacedRule]) -> Compiled {
    Compiled::new(&policy(rules)).expect("valid rules")
}

fn ask(compiled: &Compiled, host: &str, port: u16, requests: Requests<'_>) -> Judged {
    compiled.judge(&Query { host: &Host::parse(host).expect(host), port, requests, now_ms: 2000 })
}

fn strings(list: &[&str]) -> Option<Vec<String>> {
    Some(list.iter().map(|text| (*text).to_owned()).collect())
}

#[test]
fn the_stronger_layer_decides() {
    let layers = [BuiltIn, Session, Remembered, UserDeny, Request, Project, User, Preset];
    for (place, strong) in layers.iter().enumerate() {
        for weak in &layers[place + 1..] {
            for (first, second) in [(Allow, Deny), (Deny, Allow), (Ask, Allow)] {
                // The weaker layer's rule is the closer one, which does not help it.
                let both = compiled(&[rule(*weak, second, "a.example:443"), rule(*strong, first, "*:443")]);
                let judged = ask(&both, "a.example", 443, Requests::Never);
                assert_eq!(
                    (judged.action, judged.layer, judged.rule),
                    (first, *strong, Some(1)),
                    "{strong:?} {weak:?}"
                );
            }
        }
    }
}

#[test]
fn within_a_layer_the_closer_rule_decides_and_then_the_stricter() {
    let rules = [
        rule(User, Deny, "*:443"),
        rule(User, Allow, "*.example:443"),
        rule(User, Deny, "*.b.example:443"),
        rule(User, Allow, "a.b.example:443"),
        rule(User, Ask, "twice.example:443"),
        rule(User, Allow, "twice.example:443"),
        rule(User, Allow, "10.0.0.0/8:443"),
        rule(User, Deny, "10.1.0.0/16:443"),
        rule(User, Allow, "10.1.2.3:443"),
    ];
    let all = compiled(&rules);
    let check = |host: &str, action, index| {
        let judged = ask(&all, host, 443, Requests::Never);
        assert_eq!((judged.action, judged.rule), (action, Some(index)), "{host}");
    };
    check("other.test", Deny, 0);
    check("x.example", Allow, 1);
    check("b.example", Allow, 1);
    check("x.b.example", Deny, 2);
    check("y.x.b.example", Deny, 2);
    check("a.b.example", Allow, 3);
    check("twice.example", Ask, 4);
    check("10.9.9.9", Allow, 6);
    check("10.1.9.9", Deny, 7);
    check("0xa.0x1.0x203", Allow, 8);
    check("[::ffff:10.1.2.3]", Allow, 8);
}

#[test]
fn ports_are_the_webs_unless_named_and_refusals_are_about_all() {
    let all = compiled(&[
        rule(User, Allow, "web.example"),
        rule(User, Allow, "git.example:22"),
        rule(User, Deny, "bad.example"),
        rule(User, Deny, "half.example:443"),
    ]);
    let check =
        |host: &str, port, action| assert_eq!(ask(&all, host, port, Requests::Never).action, action, "{host}:{port}");
    check("web.example", 80, Allow);
    check("web.example", 443, Allow);
    check("web.example", 22, Ask);
    check("git.example", 22, Allow);
    check("git.example", 443, Ask);
    check("bad.example", 443, Deny);
    check("bad.example", 9418, Deny);
    check("half.example", 443, Deny);
    check("half.example", 80, Ask);
    assert_eq!(all.ports().into_iter().collect::<Vec<_>>(), [22, 80, 443]);
    let resolves = |host: &str| all.may_resolve(&Host::parse(host).expect(host), 2000);
    assert_eq!(resolves("web.example"), Allow);
    assert_eq!(resolves("git.example"), Allow);
    assert_eq!(resolves("bad.example"), Deny);
    assert_eq!(resolves("half.example"), Ask);
    assert_eq!(resolves("localhost"), Deny);
}

#[test]
fn nobody_is_asked_when_only_named_hosts_are_allowed() {
    let mut closed = policy(&[rule(User, Allow, "git.example:22")]);
    closed.default = Deny;
    let closed = Compiled::new(&closed).expect("valid");
    assert_eq!(closed.may_resolve(&Host::Name("git.example".to_owned()), 2000), Allow);
    assert_eq!(closed.may_resolve(&Host::Name("other.example".to_owned()), 2000), Deny);
    assert_eq!(ask(&closed, "git.example", 443, Requests::Never).layer, Default);
}

#[test]
fn requests_are_judged_one_by_one() {
    let all = compiled(&[
        with(User, Allow, "api.example:443", |rule| rule.methods = strings(&["get", "HEAD"])),
        with(User, Deny, "api.example:443", |rule| rule.paths = strings(&["/admin/*", "/secret"])),
        with(User, Allow, "api.example:443", |rule| {
            rule.methods = strings(&["POST"]);
            rule.paths = strings(&["/v1/*"]);
        }),
        rule(Preset, Deny, "api.example:443"),
    ]);
    let check = |method, path, action| {
        let judged = ask(&all, "api.example", 443, Requests::This { method, path });
        assert_eq!(judged.action, action, "{method} {path}");
        assert!(judged.opens_tls, "{method} {path}");
    };
    check("GET", "/", Allow);
    check("HEAD", "/x?y", Allow);
    check("PUT", "/v1/x", Deny);
    check("POST", "/v1/x", Allow);
    check("POST", "/v2/x", Deny);
    check("POST", "/v1/../v2", Deny);
    check("POST", "//v1//x", Allow);
    check("POST", "/v1/%2e%2e/v2", Deny);
    check("GET", "/admin/x", Deny);
    check("GET", "/x/../admin/x", Deny);
    check("GET", "/%61dmin/x", Deny);
    check("GET", "/secret", Deny);
    check("GET", "/secret?x", Deny);
    check("GET", "/secrets", Allow);
    // What a server may read in another way might be the refused path.
    check("GET", "/x%2f..%2fadmin/x", Deny);
    check("POST", "/v1/x%2fy", Deny);

    assert_eq!(ask(&all, "api.example", 443, Requests::Later).action, Allow, "some request may pass");
    assert_eq!(ask(&all, "api.example", 443, Requests::Never).action, Deny, "nobody would look at the requests");
    assert!(all.opens_tls(&Host::Name("api.example".to_owned()), 443, 2000));
    assert!(!all.opens_tls(&Host::Name("api.example".to_owned()), 80, 2000));
    assert!(!all.opens_tls(&Host::Name("other.example".to_owned()), 443, 2000));
}

#[test]
fn a_refused_path_does_not_refuse_the_host() {
    let all = compiled(&[
        rule(User, Allow, "site.example:443"),
        with(User, Deny, "site.example:443", |rule| rule.paths = strings(&["/up*"])),
    ]);
    assert_eq!(ask(&all, "site.example", 443, Requests::Later).action, Allow);
    assert_eq!(ask(&all, "site.example", 443, Requests::Never).action, Deny);
    assert_eq!(ask(&all, "site.example", 443, Requests::This { method: "GET", path: "/upload" }).action, Deny);
    assert_eq!(ask(&all, "site.example", 443, Requests::This { method: "GET", path: "/" }).action, Allow);
}

#[test]
fn tls_is_opened_where_a_rule_that_can_decide_needs_it() {
    let opens = |rules: &[PlacedRule]| compiled(rules).opens_tls(&Host::Name("a.example".to_owned()), 443, 2000);
    let inspected = with(User, Allow, "*.example:443", |rule| rule.inspect = Some(true));
    let detailed = with(User, Allow, "*.example:443", |rule| rule.methods = strings(&["GET"]));
    assert!(opens(std::slice::from_ref(&inspected)));
    assert!(opens(std::slice::from_ref(&detailed)));
    assert!(opens(&[detailed.clone(), rule(Preset, Allow, "a.example:443")]));
    assert!(!opens(&[detailed.clone(), rule(Session, Allow, "a.example:443")]), "decided before it");
    assert!(!opens(&[inspected.clone(), rule(Request, Deny, "*:443")]));
    let through = compiled(&[inspected]);
    assert_eq!(ask(&through, "a.example", 443, Requests::Never).action, Ask, "it cannot be inspected");
    let bypassed = through.judge(&Query {
        host: &Host::Name("a.example".to_owned()),
        port: 443,
        requests: Requests::Later,
        now_ms: 999,
    });
    assert_eq!((bypassed.action, bypassed.opens_tls), (Allow, false));
}

#[test]
fn everything_passes_for_a_while_but_what_never_may() {
    let all = compiled(&[rule(Session, Deny, "a.example"), rule(BuiltIn, Deny, "b.example")]);
    let judge = |host: &str, now_ms| {
        let host = Host::parse(host).expect(host);
        all.judge(&Query { host: &host, port: 8443, requests: Requests::Never, now_ms })
    };
    assert_eq!(judge("a.example", 999).layer, Bypass);
    assert_eq!(judge("a.example", 999).action, Allow);
    assert_eq!(judge("a.example", 1000).action, Deny, "it has ended");
    assert_eq!(judge("b.example", 999).action, Deny);
    assert_eq!(judge("127.0.0.1", 999).reason, Some(REASON_NEVER));
    assert_eq!(judge("10.0.0.1", 999).reason, Some(REASON_PRIVATE));
    assert_eq!(judge("8.8.8.8", 999).action, Allow);
}

#[test]
fn private_addresses_must_be_named() {
    let all = compiled(&[
        rule(User, Allow, "*"),
        rule(User, Allow, "0.0.0.0/0"),
        rule(User, Allow, "10.1.0.0/16"),
        rule(User, Allow, "192.168.1.1"),
        with(User, Allow, "192.168.1.2", |rule| rule.private = Some(false)),
        with(User, Allow, "nas.example", |rule| rule.private = Some(true)),
        with(User, Allow, "172.16.0.0/12", |rule| rule.private = Some(true)),
        rule(User, Allow, "127.0.0.1"),
        rule(User, Allow, "localhost"),
    ]);
    let check = |host: &str, action, private, reason| {
        let judged = ask(&all, host, 443, Requests::Never);
        assert_eq!((judged.action, judged.private, judged.reason), (action, private, reason), "{host}");
    };
    check("8.8.8.8", Allow, false, None);
    check("10.1.2.3", Allow, true, None);
    check("10.2.2.3", Deny, false, Some(REASON_PRIVATE));
    check("169.254.169.254", Deny, false, Some(REASON_PRIVATE));
    check("192.168.1.1", Allow, true, None);
    check("192.168.1.2", Deny, false, Some(REASON_PRIVATE));
    check("172.17.0.1", Allow, true, None);
    check("nas.example", Allow, true, None);
    check("www.example", Allow, false, None);
    check("127.0.0.1", Deny, false, Some(REASON_NEVER));
    check("0x7f.1", Deny, false, Some(REASON_NEVER));
    check("localhost", Deny, false, Some(REASON_NEVER));
    check("a.LOCALHOST.", Deny, false, Some(REASON_NEVER));
    check("[::]", Deny, false, Some(REASON_NEVER));
    // Nobody is asked about one either: a name would have to be shown that means nothing to a person.
    assert_eq!(ask(&compiled(&[]), "10.0.0.1", 443, Requests::Never).reason, Some(REASON_PRIVATE));
}

#[test]
fn a_verdict_is_told_in_plain_words() {
    let mut preset = rule(Preset, Allow, "*.github.com:443");
    preset.preset = Some("github".to_owned());
    let detailed = with(User, Allow, "api.example:443", |rule| {
        rule.methods = strings(&["GET", "HEAD"]);
        rule.paths = strings(&["/v1/*"]);
    });
    let all = compiled(&[preset, rule(UserDeny, Deny, "bad.example"), detailed]);
    let check = |host: &str, expected: &str| {
        let judged = ask(&all, host, 443, Requests::Later);
        assert_eq!(all.explain(&judged), expected);
        assert_eq!(all.verdict(&judged).explanation, expected);
        assert_eq!(all.verdict(&judged).action, judged.action);
    };
    check("api.github.com", "allowed: the preset github says so (*.github.com:443)");
    check("bad.example", "refused: your own file denies it (bad.example)");
    check("other.example", "held until you answer: no rule names it");
    check(
        "api.example",
        "allowed: your own file says so (GET,HEAD api.example:443/v1/*); its TLS is opened to judge each request",
    );
    check("10.0.0.1", "refused: it is a private address, and no rule names it");
    check("localhost", "refused: no policy can allow it: it stands for the gateway itself or for no single host");
}

#[test]
fn a_policy_with_a_rule_that_cannot_be_read_is_not_used() {
    let refused = |change: &dyn Fn(&mut EgressRule)| {
        let placed = with(User, Allow, "a.example", |rule| change(rule));
        Compiled::new(&policy(&[placed])).expect_err("refused").to_string()
    };
    assert!(refused(&|rule| rule.host = "https://x".to_owned()).contains("write the name alone"));
    assert!(refused(&|rule| rule.host = "a.example:443".to_owned()).contains("colons"));
    assert_eq!(refused(&|rule| rule.ports = Some(vec![0])), "0 is not a port");
    assert!(refused(&|rule| rule.ports = Some(Vec::new())).contains("empty list of ports"));
    assert!(refused(&|rule| rule.ports = Some((1..1000).collect())).contains("more than 256 ports"));
    assert!(refused(&|rule| rule.methods = Some(Vec::new())).contains("empty list of methods"));
    assert!(refused(&|rule| rule.methods = strings(&["GE T"])).contains("not an HTTP method"));
    for path in ["x", "/a/*/b", "/a?b", "/a%2f", "/a#b", "", "/a b"] {
        assert!(refused(&|rule| rule.paths = strings(&[path])).contains("is not a path"), "{path}");
    }
}
