use core::net::IpAddr;

use crate::egress::address::{Block, is_never, is_private};
use crate::egress::{Host, HostError, Pattern, PatternError, Target};

fn host(text: &str) -> String {
    Host::parse(text).map(|host| host.to_string()).unwrap_or_else(|error| format!("{error:?}"))
}

#[test]
fn names_have_one_form() {
    let check = |text: &str, expected: &str| assert_eq!(host(text), expected, "{text:?}");
    check("github.com", "github.com");
    check("GitHub.COM.", "github.com");
    check("a", "a");
    check("_dmarc.example.com", "_dmarc.example.com");
    check("my_bucket.example.com", "my_bucket.example.com");
    check("r3---sn-a.example.com", "r3---sn-a.example.com");
    check("bücher.example", "xn--bcher-kva.example");
    check("BÜCHER.example", "xn--bcher-kva.example");
    check("bu\u{308}cher.example", "xn--bcher-kva.example");
    check("XN--BCHER-KVA.example", "xn--bcher-kva.example");
    check("faß.example", "xn--fa-hia.example");
    check("exa\u{ad}mple.com", "example.com");
    check("ｅｘａｍｐｌｅ。ｃｏｍ", "example.com");
    check("1.example", "1.example");
    check("1e100.net", "1e100.net");
    check("example.0xg", "example.0xg");
    check(&format!("{}.example", "a".repeat(63)), &format!("{}.example", "a".repeat(63)));
}

#[test]
fn what_is_no_name_is_refused() {
    let check = |text: &str, expected: HostError| assert_eq!(Host::parse(text), Err(expected), "{text:?}");
    check("", HostError::Empty);
    check(".", HostError::EmptyLabel);
    check(".example.com", HostError::EmptyLabel);
    check("a..example.com", HostError::EmptyLabel);
    check("example.com..", HostError::EmptyLabel);
    check("exam\0ple.com", HostError::Character('\0'));
    check("example.com\0.evil.example", HostError::Character('\0'));
    check("exam%70le.com", HostError::Character('%'));
    check("example.com ", HostError::Character(' '));
    check("exam\tple.com", HostError::Character('\t'));
    check("example.com\r\nx", HostError::Character('\r'));
    check("user@example.com", HostError::Character('@'));
    check("example.com/x", HostError::Character('/'));
    check("example.com\\x", HostError::Character('\\'));
    check("*.example.com", HostError::Character('*'));
    check("a,b", HostError::Character(','));
    check("-a.example", HostError::Hyphen);
    check("a-.example", HostError::Hyphen);
    check("example._com", HostError::Underscore);
    check(&format!("{}.example", "a".repeat(64)), HostError::Long);
    check(&vec!["a"; 128].join("."), HostError::Long);
    check(&"ü".repeat(600), HostError::Long);
    check("xn--a.example", HostError::International);
    check("xn--example-.com", HostError::International);
    check("ü\0.example", HostError::Character('\0'));
    check("ex\u{2488}ample.com", HostError::International);
    check("a\u{202e}b.example", HostError::International);
    check("example.com:443", HostError::Colon);
    check("[example.com]", HostError::Colon);
    check("[::1", HostError::Colon);
    check("[127.0.0.1]", HostError::Colon);
    check("fe80::1%eth0", HostError::Zone);
    check("[fe80::1%25eth0]", HostError::Zone);
    assert!(Host::parse(&vec!["a"; 127].join(".")).is_ok(), "253 characters are a name");
}

#[test]
fn addresses_are_seen_in_every_spelling() {
    let check = |text: &str, expected: &str| assert_eq!(host(text), expected, "{text:?}");
    for text in [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7F.1",
        "0177.0.0.1",
        "0177.1",
        "017700000001",
        "0x7f.0x0.0x0.0x1",
        "0x7f.0.1",
        "00177.00.00.01",
        "[::ffff:127.0.0.1]",
        "::ffff:7f00:1",
        "１２７.0.0.1",
        "127。0。0。1",
        "①②⑦.0.0.1",
    ] {
        check(text, "127.0.0.1");
    }
    check("0", "0.0.0.0");
    check("0x", "0.0.0.0");
    check("4294967295", "255.255.255.255");
    check("10.65535", "10.0.255.255");
    check("169.254.169.254", "169.254.169.254");
    check("[2001:DB8::0:1]", "2001:db8::1");
    check("::", "::");
    check("[::1]", "::1");
    for text in [
        "256.1.1.1",
        "1.2.3.4.5",
        "4294967296",
        "1.2.3.256",
        "1.65536.1",
        "08.1.1.1",
        "1.2.3.0x100",
        "example.1",
        "a.b.0x1f",
        "1..2",
        "99999999999999999999999",
    ] {
        let parsed = Host::parse(text);
        assert!(matches!(parsed, Err(HostError::Number | HostError::EmptyLabel)), "{text:?}: {parsed:?}");
    }
}

#[test]
fn private_is_all_that_is_not_the_internet() {
    let check = |list: &[&str], expected: bool| {
        for text in list {
            let address: IpAddr = text.parse().expect(text);
            assert_eq!(is_private(address), expected, "{text}");
        }
    };
    check(
        &[
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "168.63.129.16",
            "169.254.0.1",
            "169.254.169.254",
            "172.16.0.0",
            "172.17.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.170",
            "192.88.99.1",
            "192.168.0.0",
            "192.168.255.255",
            "198.18.0.0",
            "198.19.255.255",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::2",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:a00:1::1",
            "2002:7f00:1::",
            "2002:c0a8:101::",
            "3fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00::1",
            "fdff:ffff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "ff0e::1",
        ],
        true,
    );
    check(
        &[
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "168.63.129.17",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.2.1",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.100.7",
            "203.0.113.9",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:4860:4860::8888",
            "2400::1",
            "64:ff9b::808:808",
            "2002:808:808::1",
            "::ffff:8.8.8.8",
            "3ffe::1",
        ],
        false,
    );
}

#[test]
fn never_is_what_means_the_gateway_or_no_single_host() {
    let check = |text: &str, expected: bool| assert_eq!(is_never(text.parse().expect(text)), expected, "{text}");
    for text in [
        "0.0.0.0",
        "0.1.2.3",
        "127.0.0.1",
        "127.9.9.9",
        "224.0.0.251",
        "255.255.255.255",
        "::",
        "::1",
        "ff02::1",
        "::ffff:127.0.0.1",
    ] {
        check(text, true);
    }
    for text in ["10.0.0.1", "169.254.169.254", "8.8.8.8", "fe80::1", "fd00::1", "2606:4700::1"] {
        check(text, false);
    }
}

#[test]
fn blocks_are_private_as_a_whole_or_not() {
    let check = |text: &str, expected: bool| {
        let (address, length) = text.split_once('/').expect(text);
        let block = Block::around(address.parse().expect(text), length.parse().expect(text)).expect(text);
        assert_eq!(block.is_private(), expected, "{text}");
    };
    for text in [
        "10.0.0.0/8",
        "10.1.0.0/16",
        "192.168.7.0/24",
        "172.16.0.0/12",
        "fd00::/8",
        "fc00::/7",
        "fe80::/10",
        "4000::/3",
        "2001:db8:1::/48",
    ] {
        check(text, true);
    }
    for text in [
        "0.0.0.0/0",
        "10.0.0.0/7",
        "172.0.0.0/8",
        "192.0.0.0/16",
        "8.8.8.0/24",
        "::/0",
        "::/3",
        "::/8",
        "64:ff9b::/96",
        "64:ff9b::808:0/112",
        "2000::/3",
        "2001::/16",
    ] {
        check(text, false);
    }
}

#[test]
fn what_a_rule_names() {
    let check = |text: &str, expected: &str| {
        let target = Target::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(target.to_string(), expected, "{text:?}");
        assert_eq!(Target::parse(expected), Ok(target), "{text:?}");
    };
    check("GitHub.com.", "github.com");
    check(" github.com:443 ", "github.com:443");
    check("*.GitHub.com:22", "*.github.com:22");
    check("*", "*");
    check("*:22", "*:22");
    check("*.bücher.example", "*.xn--bcher-kva.example");
    check("10.1.2.3:5432", "10.1.2.3:5432");
    check("0x7f.1", "127.0.0.1");
    check("fd00::1", "[fd00::1]");
    check("[FD00::1]", "[fd00::1]");
    check("[fd00::1]:443", "[fd00::1]:443");
    check("10.0.0.0/8", "10.0.0.0/8");
    check("10.0.0.0/8:443", "10.0.0.0/8:443");
    check("10.1.2.3/32", "10.1.2.3");
    check("fd00::/8", "fd00::/8");
    check("[fd00::/8]:443", "[fd00::/8]:443");
    check("0.0.0.0/0", "0.0.0.0/0");
}

#[test]
fn what_names_nothing_is_told_in_plain_words() {
    let check = |text: &str, expected: PatternError| assert_eq!(Target::parse(text), Err(expected), "{text:?}");
    check("https://github.com/", PatternError::Url);
    check("github.com/owner", PatternError::Path);
    check("github.com:443/owner", PatternError::Path);
    check("github.com:0", PatternError::Port);
    check("github.com:65536", PatternError::Port);
    check("github.com:+443", PatternError::Port);
    check("github.com:", PatternError::Port);
    check("[fd00::1]443", PatternError::Port);
    check("a*.example.com", PatternError::Wildcard);
    check("*.*.example.com", PatternError::Wildcard);
    check("www.*.com", PatternError::Wildcard);
    check("*.10.0.0.1", PatternError::Wildcard);
    check("**", PatternError::Wildcard);
    check("10.0.0.0/33", PatternError::Block);
    check("10.0.0.0/", PatternError::Block);
    check("10.0.0.0/+8", PatternError::Block);
    check("::ffff:10.0.0.0/104", PatternError::Block);
    check("10.1.2.3/8", PatternError::BlockBits("10.0.0.0/8".to_owned()));
    check("", PatternError::Host(HostError::Empty));
    check("*.", PatternError::Host(HostError::Empty));
    check("a b", PatternError::Host(HostError::Character(' ')));
    check("[fd00::1", PatternError::Host(HostError::Colon));
    assert_eq!(
        Target::parse("*.a_b").map_err(|error| error.to_string()),
        Err("not a host: the last part of a name has no underscore".to_owned())
    );
}

#[test]
fn below_a_name_is_not_the_name() {
    let check = |pattern: &str, text: &str, expected: bool| {
        let host = Host::parse(text).expect(text);
        assert_eq!(Pattern::parse(pattern).expect(pattern).matches(&host), expected, "{pattern} {text}");
    };
    check("*.github.com", "api.github.com", true);
    check("*.github.com", "a.b.github.com", true);
    check("*.github.com", "github.com", false);
    check("*.github.com", "evilgithub.com", false);
    check("*.github.com", "github.com.evil.example", false);
    check("*", "10.0.0.1", true);
    check("10.0.0.0/8", "0xa.1", true);
    check("10.0.0.0/8", "11.0.0.1", false);
    check("0.0.0.0/0", "::1", false);
}
