//! Against a server on this machine that cuts connections, sends nonsense, or is not there.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use simile_data::Dataset;
use tempfile::TempDir;

use super::*;

/// What a server does when it is asked for a file.
#[derive(Clone)]
enum Answer {
    /// All of it, or the part asked for.
    Content(Vec<u8>),
    /// Only so many bytes for each of the first requests, though it promises all; then all.
    Cut(Vec<u8>, Vec<usize>),
    /// All of it, whatever part is asked for.
    FromTheStart(Vec<u8>),
    NotFound,
}

/// A request: path, and first byte asked for.
type Request = (String, Option<usize>);

struct Server {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    fn start(answers: Vec<(&str, Answer)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/mnist/", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let mut answers: Vec<(String, Answer)> =
            answers.into_iter().map(|(name, answer)| (format!("/mnist/{name}"), answer)).collect();
        let seen = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = read_request(&stream) else { continue };
                seen.lock().unwrap().push(request.clone());
                let answer =
                    answers.iter_mut().find(|(path, _)| *path == request.0).map(|(_, answer)| answer);
                // The client may have enough before the server.
                let _ = respond(&mut stream, answer.unwrap_or(&mut Answer::NotFound), request.1);
            }
        });
        Self { url, requests }
    }

    fn requests(&self) -> Vec<(String, Option<usize>)> {
        let requests = self.requests.lock().unwrap();
        requests.iter().map(|(path, first)| (path.trim_start_matches("/mnist/").to_owned(), *first)).collect()
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let mut first = None;
    for line in lines.take_while(|line| !line.is_empty()) {
        let line = line.to_ascii_lowercase();
        if let Some(range) = line.strip_prefix("range: bytes=") {
            first = Some(range.trim_end_matches('-').parse().unwrap());
        }
    }
    Some((path, first))
}

fn respond(stream: &mut TcpStream, answer: &mut Answer, first: Option<usize>) -> std::io::Result<()> {
    let (content, sent) = match answer {
        Answer::NotFound => {
            return stream
                .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
        Answer::FromTheStart(content) => return send(stream, content, None, content.len()),
        Answer::Content(content) => (&*content, content.len()),
        Answer::Cut(content, cuts) => {
            let sent = if cuts.is_empty() { content.len() } else { cuts.remove(0) };
            (&*content, sent)
        }
    };
    send(stream, content, first, sent)
}

fn send(stream: &mut TcpStream, content: &[u8], first: Option<usize>, most: usize) -> std::io::Result<()> {
    let (all, begin) = (content.len(), first.unwrap_or(0));
    if first.is_some() && begin >= all {
        let head = "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return stream.write_all(head.as_bytes());
    }
    let rest = &content[begin..];
    let status = match first {
        Some(begin) => format!("206 Partial Content\r\nContent-Range: bytes {begin}-{}/{all}", all - 1),
        None => "200 OK".to_owned(),
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", rest.len())?;
    stream.write_all(&rest[..most.min(rest.len())])
}

/// What the observer was told.
#[derive(Default)]
struct Told {
    begun: Vec<(String, u64, Option<u64>)>,
    bytes: u64,
    messages: Vec<String>,
}

impl Observer for Told {
    fn begin(&mut self, file: &str, done: u64, total: Option<u64>) {
        self.begun.push((file.to_owned(), done, total));
    }

    fn advance(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    fn message(&mut self, message: &str) {
        self.messages.push(message.to_owned());
    }
}

const IMAGES: &str = "images.gz";
const LABELS: &str = "labels.gz";

fn idx(sizes: &[u32], numbers: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, sizes.len() as u8];
    sizes.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
    bytes.extend(numbers);
    bytes
}

/// Plain content: nothing here depends on how well it is compressed.
fn images() -> Vec<u8> {
    idx(&[200, 20, 20], (0..80_000u32).map(|i| (i % 251) as u8))
}

fn labels() -> Vec<u8> {
    idx(&[200], (0..200u32).map(|i| (i % 10) as u8))
}

fn set(mirrors: &[&str]) -> ImageSet {
    let file = |name: &str, content: &[u8]| RemoteFile {
        name: name.to_owned(),
        bytes: content.len() as u64,
        sha256: simile_data::sha256(content).unwrap(),
    };
    let split =
        ImageSplit { name: "train".into(), images: file(IMAGES, &images()), labels: file(LABELS, &labels()) };
    let mirrors = mirrors.iter().map(|url| (*url).to_owned()).collect();
    ImageSet { name: "toy".into(), mirrors, splits: vec![split] }
}

/// A server with the right labels.
fn serving(images: Answer) -> Server {
    Server::start(vec![(IMAGES, images), (LABELS, Answer::Content(labels()))])
}

/// Nobody listens there.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/mnist/", listener.local_addr().unwrap())
}

fn names(folder: &TempDir) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn check_complete(folder: &TempDir) {
    assert_eq!(names(folder), [IMAGES, LABELS, "toy_train.parquet"]);
    let path = folder.path().join("toy_train.parquet").display().to_string();
    assert_eq!(Dataset::open(&[path]).unwrap().num_rows(), 200);
}

#[test]
fn all_files_are_downloaded_once_and_converted() {
    let (server, folder, mut told) =
        (serving(Answer::Content(images())), tempfile::tempdir().unwrap(), Told::default());
    let set = set(&[&server.url]);
    let written = fetch(&set, folder.path(), &mut told).unwrap();
    assert_eq!(written, [folder.path().join("toy_train.parquet")]);
    check_complete(&folder);
    let all = images().len() as u64;
    assert_eq!(told.begun[0], (IMAGES.to_owned(), 0, Some(all)));
    assert_eq!(told.bytes, all + labels().len() as u64);
    assert!(told.messages[0].ends_with("toy_train.parquet: 200 images"), "{:?}", told.messages);
    fetch(&set, folder.path(), &mut told).unwrap();
    assert_eq!(server.requests(), [(IMAGES.to_owned(), None), (LABELS.to_owned(), None)]);
}

#[test]
fn a_cut_connection_is_taken_up_where_it_ended() {
    let server = serving(Answer::Cut(images(), vec![30_000, 10_000]));
    let (folder, mut told) = (tempfile::tempdir().unwrap(), Told::default());
    fetch(&set(&[&server.url]), folder.path(), &mut told).unwrap();
    check_complete(&folder);
    let asked: Vec<Option<usize>> =
        server.requests().into_iter().filter(|(name, _)| name == IMAGES).map(|(_, first)| first).collect();
    assert_eq!(asked, [None, Some(30_000), Some(40_000)]);
    assert_eq!(told.bytes, (images().len() + labels().len()) as u64, "no byte is sent twice");
}

/// Cut for good, then at another time from a server that has all.
#[test]
fn a_later_call_continues_what_an_earlier_one_left() {
    let mut cuts = vec![50_000];
    cuts.resize(10, 0);
    let (broken, folder) = (serving(Answer::Cut(images(), cuts)), tempfile::tempdir().unwrap());
    let message = fetch(&set(&[&broken.url]), folder.path(), &mut Told::default()).unwrap_err().to_string();
    assert!(message.contains("the connection was cut"), "{message}");
    assert_eq!(names(&folder), ["images.gz.part"]);
    let server = serving(Answer::Content(images()));
    fetch(&set(&[&server.url]), folder.path(), &mut Told::default()).unwrap();
    check_complete(&folder);
    assert_eq!(server.requests()[0], (IMAGES.to_owned(), Some(50_000)));
}

/// A server that knows no ranges sends all of it again.
#[test]
fn a_server_without_ranges_starts_again() {
    let (server, folder) = (serving(Answer::FromTheStart(images())), tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("images.gz.part"), &images()[..777]).unwrap();
    fetch(&set(&[&server.url]), folder.path(), &mut Told::default()).unwrap();
    check_complete(&folder);
}

/// The beginning left by another place may not fit: then all of it is downloaded, from the same place.
#[test]
fn a_beginning_that_does_not_fit_is_thrown_away() {
    for left in [100, 200_000] {
        let (server, folder) = (serving(Answer::Content(images())), tempfile::tempdir().unwrap());
        std::fs::write(folder.path().join("images.gz.part"), vec![1; left]).unwrap();
        fetch(&set(&[&server.url]), folder.path(), &mut Told::default()).unwrap();
        check_complete(&folder);
        let asked: Vec<Option<usize>> = server.requests()[..2].iter().map(|(_, first)| *first).collect();
        assert_eq!(asked, [Some(left), None]);
    }
}

#[test]
fn a_wrong_content_is_not_taken_and_the_next_mirror_is_tried() {
    let mut wrong = images();
    wrong[5000] ^= 1;
    let (wrong, right) = (serving(Answer::Content(wrong)), serving(Answer::Content(images())));
    let folder = tempfile::tempdir().unwrap();
    let message = fetch(&set(&[&wrong.url]), folder.path(), &mut Told::default()).unwrap_err().to_string();
    assert!(message.contains("the content is not the 80016 bytes (decompressed) with SHA-256"), "{message}");
    assert!(names(&folder).is_empty(), "{:?}", names(&folder));
    fetch(&set(&[&wrong.url, &right.url]), folder.path(), &mut Told::default()).unwrap();
    check_complete(&folder);
}

#[test]
fn more_than_the_file_can_have_is_not_taken() {
    let endless = serving(Answer::Content(vec![7; 300_000]));
    let folder = tempfile::tempdir().unwrap();
    let message = fetch(&set(&[&endless.url]), folder.path(), &mut Told::default()).unwrap_err().to_string();
    assert!(message.contains("there are more than 145552 bytes: this is another file"), "{message}");
}

#[test]
fn where_nothing_can_be_reached_it_is_said_what_to_do() {
    let (missing, folder) = (serving(Answer::NotFound), tempfile::tempdir().unwrap());
    let set = set(&[&missing.url]).with_mirror(nowhere().trim_end_matches('/'));
    let message = fetch(&set, folder.path(), &mut Told::default()).unwrap_err().to_string();
    let place = folder.path().display().to_string();
    for part in [
        "images.gz cannot be downloaded:\n",
        &format!("{}images.gz: ", set.mirrors[0]),
        &format!("{}images.gz: the server answers 404 Not Found", missing.url),
        &format!("decompressed as images) to {place} and"),
        "--mirror",
    ] {
        assert!(message.contains(part), "{message}\nshould contain: {part}");
    }
}

#[test]
fn files_brought_by_hand_are_used_if_they_are_right() {
    let (folder, mut told) = (tempfile::tempdir().unwrap(), Told::default());
    let set = set(&[&nowhere()]);
    std::fs::write(folder.path().join("images"), images()).unwrap();
    std::fs::write(folder.path().join(LABELS), labels()).unwrap();
    fetch(&set, folder.path(), &mut told).unwrap();
    assert_eq!(told.messages.len(), 1, "{:?}", told.messages);
    std::fs::write(folder.path().join("images"), &images()[..1000]).unwrap();
    assert!(fetch(&set, folder.path(), &mut told).is_err());
    assert!(told.messages[1].ends_with("images has another content: not used"), "{:?}", told.messages);
}

/// The real files, where they are there: what is known of them is right, whoever compressed them.
#[test]
fn mnist_is_known_by_its_content() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/mnist");
    if !folder.is_dir() {
        eprintln!("SKIPPED: {} is not there", folder.display());
        return;
    }
    for split in ImageSet::mnist().splits {
        for file in [split.images, split.labels] {
            let path = folder.join(&file.name);
            assert!(is_right(&file, &path).unwrap(), "{}", file.name);
            let mut content = Vec::new();
            decompressed(&path).unwrap().read_to_end(&mut content).unwrap();
            assert_eq!(content.len() as u64, file.bytes, "{}", file.name);
        }
    }
}
