use crate::egress::path::normal;

#[test]
fn paths_have_one_form() {
    let check = |text: &str, expected: &str| assert_eq!(normal(text).as_deref(), Some(expected), "{text:?}");
    check("/", "/");
    check("/a/b", "/a/b");
    check("/a/b/", "/a/b/");
    check("/a/b?x=/../y", "/a/b");
    check("/a/../b", "/b");
    check("/a/./b", "/a/b");
    check("/a/b/..", "/a/");
    check("/a/b/.", "/a/b/");
    check("//a///b", "/a/b");
    check("/a//../b", "/b");
    check("/../../a", "/a");
    check("/%61/%2e%2E/b", "/b");
    check("/a/%2E/b", "/a/b");
    check("/%7Euser", "/~user");
    check("/a%20b%c3%bc", "/a%20b%C3%BC");
    check("/ü", "/%C3%BC");
    check("/a/...", "/a/...");
    check("/a;x=1/b", "/a;x=1/b");
    check("/@scope%40x", "/@scope%40x");
}

#[test]
fn paths_that_servers_read_in_two_ways_have_none() {
    for text in [
        "",
        "a",
        "*",
        "?x",
        "http://example.com/a",
        "/a%2fb",
        "/a%2F..%2Fb",
        "/a%5cb",
        "/a\\b",
        "/a%00b",
        "/a%0d%0ab",
        "/a%7f",
        "/%252e%252e/b",
        "/a%25",
        "/a%",
        "/a%4",
        "/a%zz",
        "/a b",
        "/a\nb",
        "/a#b",
        "/a/..;/b",
        "/a/..;x=1/b",
        "/.;/a",
        "/a/%2e%2e;x/b",
    ] {
        assert_eq!(normal(text), None, "{text:?}");
    }
}
