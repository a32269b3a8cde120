//! Identity of files.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// SHA-256 of what is left to read, as hexadecimal digits.
///
/// # Errors
/// If reading fails.
pub fn sha256(mut bytes: impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    io::copy(&mut bytes, &mut hasher)?;
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
