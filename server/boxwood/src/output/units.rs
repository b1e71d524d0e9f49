//! Sizes, ages and durations in words.

use jiff::Timestamp;

/// A size in bytes, in powers of 1024, three digits: `1.5 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let power = (bytes.ilog2() / 10).min(5);
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let value = bytes as f64 / f64::from(1_u32 << 10).powi(power.cast_signed());
    let digits = if value < 9.95 { 1 } else { 0 };
    format!("{value:.digits$} {}", UNITS[power as usize - 1])
}

/// How long ago something was, in its largest unit: `3 h`, `12 days`.
pub(crate) fn age(then: &str, now: Timestamp) -> String {
    match then.parse::<Timestamp>() {
        Ok(then) => span(now.duration_since(then).as_secs().max(0)),
        Err(_) => "unknown".to_owned(),
    }
}

/// A number of seconds in its largest unit.
pub(crate) fn span(seconds: i64) -> String {
    let (minute, hour, day) = (60, 3600, 86400);
    match seconds {
        ..0 => "0 s".to_owned(),
        s if s < 2 * minute => format!("{s} s"),
        s if s < 2 * hour => format!("{} min", s / minute),
        s if s < 2 * day => format!("{} h", s / hour),
        s => format!("{} days", s / day),
    }
}

/// A duration in milliseconds: `320 ms`, `4.1 s`, `3 min`.
pub(crate) fn duration(milliseconds: u64) -> String {
    match milliseconds {
        ..1000 => format!("{milliseconds} ms"),
        1000..120_000 => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
        _ => format!("{} min", milliseconds / 60_000),
    }
}

/// `1 sandbox`, `2 sandboxes`.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        let check = |bytes: u64, expected: &str| assert_eq!(size(bytes), expected);
        check(0, "0 B");
        check(1023, "1023 B");
        check(1024, "1.0 KiB");
        check(10 * 1024 * 1024, "10 MiB");
        check(8 * 1024 * 1024 * 1024, "8.0 GiB");
        check(u64::MAX, "16384 PiB");
    }

    #[test]
    fn ages_are_told_in_their_largest_unit() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().expect("timestamp");
        let check = |then: &str, expected: &str| assert_eq!(age(then, now), expected);
        check("2026-03-01T11:59:18Z", "42 s");
        check("2026-03-01T11:00:00.123Z", "59 min");
        check("2026-02-28T12:00:00Z", "24 h");
        check("2026-02-20T12:00:00Z", "9 days");
        check("2026-03-01T12:00:09Z", "0 s");
        check("nonsense", "unknown");
    }

    #[test]
    fn durations_fit_their_size() {
        let check = |milliseconds: u64, expected: &str| assert_eq!(duration(milliseconds), expected);
        check(7, "7 ms");
        check(4190, "4.1 s");
        check(180_000, "3 min");
    }
}
