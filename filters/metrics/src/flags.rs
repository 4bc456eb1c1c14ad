//! Envoy's response flags, as its access log prints them.

/// Short names by bit (`CoreResponseFlag` in Envoy's `stream_info.h`).
const NAMES: [&str; 30] = [
    "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC",
    "URX", "SI", "IH", "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DO", "DR",
    "UDO",
];

/// The flags by their short names, with commas between them; `-` where there are none.
#[must_use]
pub(crate) fn names(flags: u64) -> String {
    let mut text = String::new();
    for (bit, name) in NAMES.iter().enumerate() {
        if flags & 1 << bit != 0 {
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(name);
        }
    }
    if text.is_empty() {
        text.push('-');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_joined_by_commas() {
        assert_eq!(names(0), "-");
        assert_eq!(names(1 << 14), "DC");
        assert_eq!(names(0x22), "UH,UF");
        assert_eq!(names(1 << 40), "-");
        assert_eq!(names(u64::MAX).split(',').count(), NAMES.len());
    }
}
