//! `simile classify`: a classifier of images, which judges generated ones.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::bail;
use clap::Args;
use simile_data::Dataset;

use super::Outcome;
use super::options::{Common, check_output};
use crate::models::{ImageClassifier, ImageColumns};

/// Train a classifier of images, by which generated images are judged
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    simile classify --data mnist_train.parquet --test mnist_test.parquet --image image --label digit -o runs/mnist/classifier\n  \
    simile classify --data train.parquet --test test.parquet --image pixels --label kind --size 12x16 -o classifier\n\n\
    The folder holds weights.safetensors and manifest.json with the accuracy on the test images. `classifier` in\n\
    [validation.images] names it: generated images are then judged by their classes, and by the distance of their features.")]
pub(super) struct Classify {
    /// Parquet file or glob with the training images; may be repeated
    #[arg(long, required = true, value_name = "FILE")]
    data: Vec<String>,
    /// Parquet file or glob with the images it is tested on; may be repeated
    #[arg(long, required = true, value_name = "FILE")]
    test: Vec<String>,
    /// Column of the images: lists of pixels, row by row
    #[arg(long, value_name = "NAME")]
    image: String,
    /// Column of the labels: a number for every class
    #[arg(long, value_name = "NAME")]
    label: String,
    /// Height and width of an image, such as 12x16; by default images are square
    #[arg(long, value_name = "HxW")]
    size: Option<Size>,
    /// Folder to write
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Replace the folder if it exists
    #[arg(long)]
    overwrite: bool,
    /// Passes over the training images
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    epochs: u16,
    /// Seed of weights and order
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
}

/// Height and width as on the command line.
#[derive(Clone, Copy)]
struct Size([usize; 2]);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sides = text.split_once('x').and_then(|(height, width)| {
            Some([height.parse().ok()?, width.parse().ok()?])
                .filter(|sides| sides.iter().all(|side| *side > 0))
        });
        sides.map(Self).ok_or_else(|| "write height and width in pixels, such as 28x28".into())
    }
}

impl Classify {
    pub(super) fn run(self, common: &Common) -> anyhow::Result<Outcome> {
        check_output(&self.output, self.overwrite)?;
        if self.overwrite && self.output.exists() && !self.output.join("manifest.json").is_file() {
            bail!("{} is no folder of a classifier: choose another --output", self.output.display());
        }
        let (train, test) = (Dataset::open(&self.data)?, Dataset::open(&self.test)?);
        let columns =
            ImageColumns { image: self.image, label: self.label, size: self.size.map(|size| size.0) };
        let settings = (usize::from(self.epochs), self.seed);
        let device = common.device()?;
        let mut terminal = common.terminal();
        let classifier = ImageClassifier::train(&train, &test, &columns, settings, &device, &mut terminal)?;
        classifier.save(&self.output)?;
        println!("{}", classifier.manifest.summary());
        println!("classifier   {}", self.output.display());
        Ok(Outcome::Success)
    }
}
