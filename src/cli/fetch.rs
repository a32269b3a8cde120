//! `simile fetch`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Outcome;
use super::options::Common;
use crate::fetch::{ImageSet, fetch};

/// Download a public data set and turn it into Parquet
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    simile fetch mnist\n  \
    simile fetch mnist --dir /data/mnist --mirror http://mirror.example/mnist\n\n\
    The content of every file is checked by SHA-256. Files that lie in the folder already are used, and a download that was \
    cut is continued. Without a network, bring the IDX files there by hand.")]
pub(super) struct Fetch {
    /// The data set
    #[arg(value_enum)]
    set: Set,
    /// Folder for the files; by default data/NAME
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Folder on the web to download from before all others
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Set {
    /// Handwritten digits, 70,000 images of 28 × 28 pixels, 12 MB
    Mnist,
}

impl Fetch {
    pub(super) fn run(self, common: &Common) -> anyhow::Result<Outcome> {
        let set = match self.set {
            Set::Mnist => ImageSet::mnist(),
        };
        let set = match &self.mirror {
            Some(mirror) => set.with_mirror(mirror),
            None => set,
        };
        let folder = self.dir.unwrap_or_else(|| PathBuf::from("data").join(&set.name));
        for path in fetch(&set, &folder, &mut common.terminal())? {
            println!("{}", path.display());
        }
        Ok(Outcome::Success)
    }
}
