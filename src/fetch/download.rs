//! One file from one place, continued where an earlier attempt ended.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

use super::{Observer, RemoteFile, is_right};

/// Without an answer for so long, a server is taken to be unreachable.
const CONNECT_SECONDS: u64 = 10;
/// Without a byte for so long, a connection is taken to be cut.
const SILENCE_SECONDS: u64 = 30;
/// How often a cut connection is taken up again without a byte gained.
const ATTEMPTS: usize = 3;
/// Compression of what cannot be compressed makes it a little longer.
const MOST_OVERHEAD: u64 = 1 << 16;
const BLOCK_BYTES: usize = 1 << 16;

/// Why a file cannot be had from one place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// No answer, or a connection that was cut again and again.
    #[error("{0}")]
    Connection(Box<ureq::Error>),
    /// The server refuses.
    #[error("the server answers {0}")]
    Status(StatusCode),
    /// The connection was cut.
    #[error("the connection was cut ({0})")]
    Cut(io::Error),
    /// More than there can be.
    #[error("there are more than {0} bytes: this is another file")]
    TooLong(u64),
    /// Not what was asked for.
    #[error("the content is not the {bytes} bytes (decompressed) with SHA-256 {sha256} that it should be")]
    Content {
        /// Size expected
        bytes: u64,
        /// Hash expected
        sha256: String,
    },
    /// The disk.
    #[error("{0}")]
    Write(io::Error),
}

/// An HTTP client.
pub(super) struct Client(Agent);

impl Client {
    pub(super) fn new() -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(CONNECT_SECONDS)))
            .timeout_per_read(Some(Duration::from_secs(SILENCE_SECONDS)))
            .user_agent(concat!("simile/", env!("CARGO_PKG_VERSION")));
        Self(config.build().into())
    }

    /// Downloads to `part`, which holds what an earlier attempt left, and checks the content. A wrong content is removed,
    /// and if its beginning came from an earlier attempt, perhaps from another place, downloaded once more from the start.
    pub(super) fn download(
        &self,
        url: &str,
        file: &RemoteFile,
        part: &Path,
        observer: &mut dyn Observer,
    ) -> Result<(), DownloadError> {
        let mut began_with = length(part);
        loop {
            self.complete(url, file, part, observer)?;
            if is_right(file, part).map_err(DownloadError::Write)? {
                return Ok(());
            }
            std::fs::remove_file(part).map_err(DownloadError::Write)?;
            if began_with == 0 {
                return Err(DownloadError::Content { bytes: file.bytes, sha256: file.sha256.clone() });
            }
            began_with = 0;
        }
    }

    /// Goes on until the server has sent all, however often the connection is cut, as long as bytes arrive.
    fn complete(
        &self,
        url: &str,
        file: &RemoteFile,
        part: &Path,
        observer: &mut dyn Observer,
    ) -> Result<(), DownloadError> {
        let mut fruitless = 0;
        loop {
            let before = length(part);
            match self.attempt(url, file, part, observer) {
                Err(DownloadError::Cut(error)) => {
                    fruitless = if length(part) > before { 0 } else { fruitless + 1 };
                    if fruitless == ATTEMPTS {
                        return Err(DownloadError::Cut(error));
                    }
                }
                other => return other,
            }
        }
    }

    /// One request for what is missing.
    fn attempt(
        &self,
        url: &str,
        file: &RemoteFile,
        part: &Path,
        observer: &mut dyn Observer,
    ) -> Result<(), DownloadError> {
        let have = length(part);
        let request = self.0.get(url);
        let request = if have > 0 { request.header("Range", format!("bytes={have}-")) } else { request };
        let mut response = request.call().map_err(|error| DownloadError::Connection(Box::new(error)))?;
        let (out, have) = match response.status() {
            StatusCode::OK => (File::create(part), 0),
            StatusCode::PARTIAL_CONTENT if starts_at(&response, have) => {
                (OpenOptions::new().append(true).open(part), have)
            }
            // Nothing is missing, or what is there is no beginning of this file: the content will tell.
            StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => return Ok(()),
            status => return Err(DownloadError::Status(status)),
        };
        let out = out.map_err(DownloadError::Write)?;
        let total = response.body().content_length().map(|rest| have + rest);
        observer.begin(&file.name, have, total);
        copy(response.body_mut().as_reader(), out, have, file.bytes + MOST_OVERHEAD, observer)
    }
}

/// Whether a part of the content is the one asked for.
fn starts_at(response: &Response<Body>, byte: u64) -> bool {
    let range = response.headers().get("Content-Range").and_then(|range| range.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {byte}-")))
}

/// Appends what is read, up to a length of `most`.
fn copy(
    mut content: impl Read,
    mut out: File,
    have: u64,
    most: u64,
    observer: &mut dyn Observer,
) -> Result<(), DownloadError> {
    let (mut block, mut length) = (vec![0; BLOCK_BYTES], have);
    loop {
        let read = match content.read(&mut block) {
            Ok(0) => return out.sync_all().map_err(DownloadError::Write),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(DownloadError::Cut(error)),
        };
        out.write_all(&block[..read]).map_err(DownloadError::Write)?;
        length += read as u64;
        observer.advance(read as u64);
        if length > most {
            // Not to be continued.
            out.set_len(0).map_err(DownloadError::Write)?;
            return Err(DownloadError::TooLong(most));
        }
    }
}

/// Length of a file; 0 where there is none.
fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}
