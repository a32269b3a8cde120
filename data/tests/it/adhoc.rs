use crate::support::*;
use simile_data::*;
fn hwm() -> String {
    std::fs::read_to_string("/proc/self/status")
        .unwrap()
        .lines()
        .find(|l| l.starts_with("VmHWM"))
        .unwrap()
        .to_string()
}
#[test]
fn memory() {
    let Ok(p) = std::env::var("ADHOC_BIG") else { return };
    let d = Dataset::open(&[p]).unwrap();
    println!("{:?} {}", d.files(), hwm());
    let t = std::time::Instant::now();
    let mut n = 0;
    for e in d.scan().columns(&["voxels", "e"]).select(Some("e > 0.5")).events().unwrap() {
        n += e.unwrap().len();
    }
    println!("selected {n} {:?} {}", t.elapsed(), hwm());
    let t = std::time::Instant::now();
    let mut n = 0;
    for e in d.scan().columns(&["voxels", "e"]).events().unwrap() {
        n += e.unwrap().len();
    }
    println!("all {n} {:?} {}", t.elapsed(), hwm());
    let t = std::time::Instant::now();
    println!("{}", inspect(&d, &InspectOptions::default()).unwrap());
    println!("inspect {:?} {}", t.elapsed(), hwm());
}
#[test]
fn diskfull() {
    let Ok(p) = std::env::var("ADHOC_FULL") else { return };
    let b = showers(0, 200000);
    let mut w = EventWriter::create(
        format!("{p}/a.parquet"),
        b.schema(),
        &options(parquet::basic::Compression::UNCOMPRESSED, 50000),
    )
    .unwrap();
    let r = (|| {
        for _ in 0..4 {
            w.write(&b)?;
        }
        w.finish()
    })();
    println!("{:?}", r.map_err(|e| e.to_string()));
    println!("{:?}", std::fs::read_dir(&p).unwrap().collect::<Vec<_>>());
    println!("{:?}", write_file(format!("{p}/b.json"), vec![0u8; 20 << 20]).map_err(|e| e.to_string()));
    println!("{:?}", std::fs::read_dir(&p).unwrap().collect::<Vec<_>>());
}
#[test]
fn show() {
    let Ok(p) = std::env::var("ADHOC_SHOW") else { return };
    for p in p.split(',') {
        let t = std::time::Instant::now();
        let text = inspect(&Dataset::open(&[p]).unwrap(), &InspectOptions::default()).unwrap().to_string();
        println!("{}\n{:?}", text.lines().take(40).collect::<Vec<_>>().join("\n"), t.elapsed());
    }
}
#[test]
fn fuzz() {
    let Ok(n) = std::env::var("ADHOC_FUZZ") else { return };
    let n: u64 = n.parse().unwrap();
    use rand::Rng;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    for (k, codec) in [
        parquet::basic::Compression::UNCOMPRESSED,
        parquet::basic::Compression::SNAPPY,
        parquet::basic::Compression::LZ4_RAW,
        parquet::basic::Compression::ZSTD(Default::default()),
        parquet::basic::Compression::GZIP(Default::default()),
        parquet::basic::Compression::BROTLI(Default::default()),
    ]
    .into_iter()
    .enumerate()
    {
        write(&path, &showers(0, 300), &options(codec, 100));
        let whole = std::fs::read(&path).unwrap();
        let (mut errors, mut slow) = (0, std::time::Duration::ZERO);
        for i in 0..n {
            let mut rng = random::stream(1, "fuzz", i * 10 + k as u64);
            let mut bytes = whole.clone();
            for _ in 0..rng.gen_range(1..4) {
                let at = rng.gen_range(4..bytes.len() - 8);
                bytes[at] = if rng.r#gen() { rng.r#gen() } else { bytes[at] ^ (1 << rng.gen_range(0..8)) };
            }
            std::fs::write(&path, &bytes).unwrap();
            let t = std::time::Instant::now();
            let r = Dataset::open(&[path.to_str().unwrap()]).and_then(|d| {
                for b in d.scan().select(Some("event_id > 1003")).batches()? {
                    b?;
                }
                inspect(&d, &InspectOptions::default()).map(|i| i.to_string().len())
            });
            errors += r.is_err() as u64;
            slow = slow.max(t.elapsed());
        }
        println!("{codec:?} {errors}/{n} errors, slowest {slow:?} {}", hwm());
    }
}

#[test]
fn py() {
    let Ok(p) = std::env::var("ADHOC_PY") else { return };
    let meta = [("simile.units", r#"{"incident_energy":"MeV"}"#), ("generator", "x")];
    write(std::path::Path::new(&p), &with_metadata(&showers(0, 1000), &meta), &Default::default());
}
