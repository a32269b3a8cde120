use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::Dataset;

/// The bytes of an IDX file.
fn idx(sizes: &[u32], numbers: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, UNSIGNED_BYTE, sizes.len() as u8];
    sizes.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
    bytes.extend(numbers);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Four images of 2 × 3 pixels.
fn images() -> Vec<u8> {
    idx(&[4, 2, 3], &(0..24).map(|i| i * 10).collect::<Vec<u8>>())
}

fn labels() -> Vec<u8> {
    idx(&[4], &[7, 0, 9, 255])
}

struct Case {
    folder: TempDir,
}

impl Case {
    fn new(images: &[u8], labels: &[u8]) -> Self {
        let case = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::write(case.path("images"), images).unwrap();
        std::fs::write(case.path("labels"), labels).unwrap();
        case
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn import(&self) -> Result<WrittenFile, IdxError> {
        let files = ["images", "labels"].map(|name| self.path(name));
        let files = files.each_ref().map(PathBuf::as_path);
        import_idx(files, "digit", &json!({"code": "test"}), &self.path("out.parquet"), &mut |_, _| ())
    }

    /// The message of the error; there is no output.
    fn refused(&self) -> String {
        let message = self.import().unwrap_err().to_string();
        assert!(!self.path("out.parquet").exists(), "{message}");
        assert_eq!(
            std::fs::read_dir(self.folder.path()).unwrap().count(),
            2,
            "{message}: nothing is left behind"
        );
        message
    }
}

#[test]
fn plain_and_compressed_files_give_the_same_rows() {
    for compress in [false, true] {
        let [images, labels] = [images(), labels()].map(|file| if compress { gzip(&file) } else { file });
        let case = Case::new(&images, &labels);
        assert_eq!(case.import().unwrap().rows, 4);
        let path = case.path("out.parquet").display().to_string();
        let dataset = Dataset::open(&[path]).unwrap();
        let pixels = DataType::FixedSizeList(item(), 6);
        assert_eq!(dataset.field("image").unwrap().data_type(), &pixels);
        assert_eq!(dataset.field("digit").unwrap().data_type(), &DataType::UInt8);
        let generator = &dataset.schema().metadata()["generator"];
        assert_eq!(generator, r#"{"code":"test","image":{"height":2,"width":3}}"#);
        let events = dataset.scan().events().unwrap().next().unwrap().unwrap();
        let expected: Vec<f32> = (0..24).map(|i| 10.0 * i as f32).collect();
        assert_eq!(events.column("image").unwrap().iter().copied().collect::<Vec<_>>(), expected);
        assert_eq!(
            events.column("digit").unwrap().iter().copied().collect::<Vec<_>>(),
            [7.0, 0.0, 9.0, 255.0]
        );
    }
}

#[test]
fn what_is_no_idx_file_of_images_and_labels_is_refused() {
    let (images, labels) = (images(), labels());
    let changed = |place: usize, byte: u8| {
        let mut file = images.clone();
        file[place] = byte;
        file
    };
    let cases = [
        (changed(0, 1), "is not an IDX file: it begins with the bytes [01, 00, 08, 03]"),
        (changed(2, 7), "is not an IDX file"),
        (changed(2, 0x0d), "has numbers of type 0x0d, only unsigned bytes"),
        (labels.clone(), "has 1 dimensions, but images have 3; are images and labels exchanged?"),
        (idx(&[0, 2, 3], &[]), "says it has 0 images of 2 × 3 pixels"),
        (idx(&[4, 0, 3], &[]), "says it has 4 images of 0 × 3 pixels"),
        (idx(&[1, u32::MAX, u32::MAX], &[]), "of 4294967295 × 4294967295 pixels; there must be"),
        (idx(&[u32::MAX, 2, 3], &images[16..]), "has 4294967295 images, "),
        (idx(&[5, 2, 3], &[0; 30]), "labels has 4 labels; give the two files of one set"),
        (images[..3].to_vec(), "ends early: 3 of 4 bytes of the header"),
        (images[..9].to_vec(), "ends early: 5 of 12 bytes of the header"),
        (Vec::new(), "ends early: 0 of 4 bytes of the header"),
        (images[..33].to_vec(), "ends early: 2 of 4 images are there"),
        ([&images[..], &[0]].concat(), "goes on after the 4 images that its header announces"),
    ];
    for (file, expected) in cases {
        let message = Case::new(&file, &labels).refused();
        assert!(message.contains(expected), "{message}\nshould contain: {expected}");
    }
    for (file, expected) in [
        (labels[..10].to_vec(), "ends early: 2 of 4 labels are there"),
        ([&labels[..], &[1, 2]].concat(), "goes on after the 4 labels"),
        (images.clone(), "has 3 dimensions, but labels have 1"),
    ] {
        let message = Case::new(&images, &file).refused();
        assert!(message.contains(expected), "{message}\nshould contain: {expected}");
    }
}

#[test]
fn damaged_compression_is_found() {
    let (packed, labels) = (gzip(&images()), labels());
    for lost in [1, 8, 12, packed.len() - 15] {
        let message = Case::new(&packed[..packed.len() - lost], &labels).refused();
        assert!(message.contains("ends early"), "{message}");
    }
    let mut damaged = packed.clone();
    // The checksum of the content, which is read after the last image.
    let last = damaged.len() - 6;
    damaged[last] ^= 1;
    let message = Case::new(&damaged, &labels).refused();
    assert!(message.contains("cannot read") && message.contains("images"), "{message}");
}

#[test]
fn missing_files_and_a_taken_name_are_refused() {
    let case = Case::new(&images(), &labels());
    let missing = case.path("other");
    let files = [missing.as_path(), missing.as_path()];
    let out = case.path("out.parquet");
    let message = import_idx(files, "digit", &json!({}), &out, &mut |_, _| ()).unwrap_err().to_string();
    assert!(message.contains("cannot read") && message.contains("other"), "{message}");
    let message = import_idx(files, "image", &json!({}), &out, &mut |_, _| ()).unwrap_err().to_string();
    assert!(message.contains("choose another name"), "{message}");
}

/// Blocks are written one by one: more images than one has.
#[test]
fn images_beyond_a_block_arrive_in_order() {
    let (count, side) = (20, 1024);
    let pixels: Vec<u8> = (0..count * side * side).map(|i| (i / (side * side)) as u8).collect();
    let images = idx(&[count as u32, side as u32, side as u32], &pixels);
    let case = Case::new(&images, &idx(&[count as u32], &(0..count as u8).collect::<Vec<u8>>()));
    assert!(images.len() > 2 * BLOCK_BYTES);
    case.import().unwrap();
    let dataset = Dataset::open(&[case.path("out.parquet").display().to_string()]).unwrap();
    for events in dataset.scan().events().unwrap() {
        let events = events.unwrap();
        let digits = events.column("digit").unwrap();
        for (image, digit) in events.column("image").unwrap().rows().into_iter().zip(digits) {
            assert!(image.iter().all(|pixel| pixel == digit));
        }
    }
}

/// The files of MNIST, where they are there: counts, and a number worked out from the canonical bytes.
#[test]
fn mnist_itself_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/mnist");
    if !folder.is_dir() {
        eprintln!("SKIPPED: {} is not there", folder.display());
        return;
    }
    let case = Case::new(&[], &[]);
    let files = ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"].map(|name| folder.join(name));
    let files = files.each_ref().map(PathBuf::as_path);
    let out = case.path("out.parquet");
    let written = import_idx(files, "digit", &json!({}), &out, &mut |_, _| ()).unwrap();
    assert_eq!(written.rows, 10_000);
    let dataset = Dataset::open(&[out.display().to_string()]).unwrap();
    let (mut ink, mut digits) = (0.0, [0; 10]);
    for events in dataset.scan().events().unwrap() {
        let events = events.unwrap();
        ink += events.column("image").unwrap().iter().map(|&pixel| f64::from(pixel)).sum::<f64>();
        events.column("digit").unwrap().iter().for_each(|&digit| digits[digit as usize] += 1);
    }
    // Python 3.11.7: sum(gzip.open("t10k-images-idx3-ubyte.gz").read()[16:]), collections.Counter of the labels
    assert_eq!(ink, 264_923_200.0);
    assert_eq!(digits, [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
}
