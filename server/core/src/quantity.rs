//! Amounts of memory as people write them.

/// Bytes of `text`: a number with an optional `b`, `k`, `m`, `g` or `t` (powers of 1024, either case, an ending `b` or
/// `ib` allowed). `None` when it is not one.
#[must_use]
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor: f64 = match unit.trim() {
        "" | "b" => 1.0,
        "k" | "kb" | "kib" => 1024.0,
        "m" | "mb" | "mib" => 1024.0 * 1024.0,
        "g" | "gb" | "gib" => 1024.0 * 1024.0 * 1024.0,
        "t" | "tb" | "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * factor;
    (bytes.is_finite() && (0.0..9.0e15).contains(&bytes)).then_some(bytes as u64)
}

/// `bytes` for a person, in binary units with at most one decimal.
#[must_use]
pub fn format_bytes(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut amount = bytes as f64;
    let mut unit = 0;
    while amount >= 1024.0 && unit < units.len() - 1 {
        amount /= 1024.0;
        unit += 1;
    }
    if unit == 0 || amount >= 100.0 {
        format!("{amount:.0} {}", units[unit])
    } else {
        format!("{amount:.1} {}", units[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read() {
        let check = |text, expected| assert_eq!(parse_bytes(text), expected, "{text}");
        check("512m", Some(512 << 20));
        check("8g", Some(8 << 30));
        check("1.5G", Some(3 << 29));
        check("2 GiB", Some(2 << 30));
        check("1024", Some(1024));
        check("", None);
        check("-1g", None);
        check("1e9", None);
        check("lots", None);
        check("99999999t", None);
    }
}
