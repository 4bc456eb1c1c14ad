//! Time zones.

use crate::expressions::fault::Fault;

/// How far a zone is ahead of UTC. One with a name is looked up in the files of the machine that Envoy
/// runs on.
pub(super) fn offset(zone: &[u8]) -> Result<i128, Fault> {
    let zone = str::from_utf8(zone).map_err(|_| Fault::Error)?;
    if zone.is_empty() || zone == "UTC" {
        return Ok(0);
    }
    if !zone.contains(':') {
        return Err(Fault::unknown(format!("the time zone `{zone}`")));
    }
    // Envoy reads `+02:30` as the duration `+02h30m`.
    let duration = format!("{}m", zone.replace(':', "h"));
    super::text::duration(duration.as_bytes())
}
