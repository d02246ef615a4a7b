//! Many recordings at once: the same pictures whatever the threads, and nothing left behind.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use heartfast_core::Cancel;
use heartfast_core::Error;
use heartfast_core::batch::{
    Entry, Form, Job, Monitor, Origin, Storage, Subject, Task, Tasks, read, run,
};
use heartfast_core::config::{Hop, SpectrogramConfig};
use heartfast_core::figure::Caption;
use heartfast_core::limits::Limits;
use heartfast_core::manifest::parse;
use heartfast_core::pipeline::Converter;
use heartfast_core::png::Preset;
use heartfast_core::selection::Selection;

/// An empty folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("batch").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A 16-bit WAV of `n` samples.
fn wav(n: usize, rate: u32, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let data = (0..n).flat_map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
        ((state >> 50) as i16 - 8192).to_le_bytes()
    });
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    file.extend(rate.to_le_bytes());
    file.extend((2 * rate).to_le_bytes());
    file.extend(b"\x02\0\x10\0data");
    file.extend((2 * n as u32).to_le_bytes());
    file.extend(data);
    let size = file.len() as u32 - 8;
    file[4..8].copy_from_slice(&size.to_le_bytes());
    file
}

/// Tasks for `n` recordings of several lengths and rates.
fn tasks(folder: &Path, n: usize) -> Vec<Task> {
    (0..n)
        .map(|k| {
            let recording = folder.join(format!("{k}.wav"));
            let bytes = wav(1 + k * 997 % 20_000, [2000, 4000, 11_025][k % 3], k as u64);
            fs::write(&recording, bytes).unwrap();
            task(recording, &format!("{k}.png"))
        })
        .collect()
}

fn task(recording: PathBuf, picture: &str) -> Task {
    let (path, file_name) = (recording.clone(), picture.into());
    let subject = Subject { path, file_name, ..Subject::default() };
    Task { named: recording.clone(), recording: Origin::File(recording), subject }
}

fn path(task: &Task) -> &Path {
    let Origin::File(path) = &task.recording else { panic!("{task:?}") };
    path
}

fn job(folder: &Path, threads: usize) -> Job {
    let (config, folder) = (SpectrogramConfig::default(), folder.to_owned());
    Job {
        config,
        png: Preset::Fast,
        selection: Selection::default(),
        folder,
        storage: Storage { form: Form::Folder, shard_bytes: None, fsync: false },
        header: "{}".to_owned(),
        check: false,
        overwrite: false,
        prune: false,
        limits: Limits::default(),
        max_errors: None,
        threads,
        intervals: Default::default(),
    }
}

/// What became of each task, as the manifest has it.
fn entries(tasks: &[Task], job: &Job, monitor: &Monitor) -> Vec<Entry> {
    run(&tasks.iter().cloned().collect(), job, monitor).unwrap();
    let manifest = fs::read_to_string(job.folder.join("manifest.jsonl")).unwrap();
    let mut told: HashMap<PathBuf, Entry> = manifest
        .lines()
        .filter_map(|line| parse(line.as_bytes()))
        .map(|(subject, entry)| (subject.file_name, entry))
        .collect();
    assert_eq!(told.len(), tasks.len());
    tasks.iter().map(|task| told.remove(&task.subject.file_name).unwrap()).collect()
}

fn others(folder: &Path) -> Vec<String> {
    let names =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> =
        names.filter(|name| !name.ends_with(".wav") && !name.ends_with(".png")).collect();
    names.sort();
    names
}

#[test]
fn the_same_bytes_on_any_number_of_threads() {
    let folder = folder("threads");
    let tasks = tasks(&folder, 40);
    let config = SpectrogramConfig { size: Some((50, 60)), ..Default::default() };
    let mut converter = Converter::new(&config).unwrap();
    for threads in [1, 2, 3, 8, 1000, 0] {
        let _ = fs::remove_file(folder.join("manifest.jsonl"));
        let monitor = Monitor::default();
        let job = Job { config: config.clone(), ..job(&folder, threads) };
        let results = entries(&tasks, &job, &monitor);
        assert_eq!(results.len(), 40);
        assert_eq!(monitor.done.load(Ordering::Relaxed), 40);
        assert_eq!(monitor.failed.load(Ordering::Relaxed), 0);
        for (k, (task, result)) in tasks.iter().zip(results).enumerate() {
            let converted = result;
            assert_eq!(converted.failure, None);
            let mut alone = Vec::new();
            let bytes = fs::read(path(task)).unwrap();
            let (known, _) =
                converter.convert(&bytes, &Caption::default(), &mut alone, &Cancel::new()).unwrap();
            assert_eq!(converted.sample_rate, known.sample_rate);
            assert_eq!(converted.pictures.as_slice()[0].duration_s, known.duration_s);
            assert_eq!(known.sample_rate, [2000, 4000, 11_025][k % 3]);
            assert!(
                fs::read(folder.join(&task.subject.file_name)).unwrap() == alone,
                "{k} on {threads} threads"
            );
            fs::remove_file(folder.join(&task.subject.file_name)).unwrap();
        }
    }
    assert_eq!(others(&folder), ["manifest.jsonl", "metadata.csv"]);
}

#[test]
fn bad_recordings_are_their_own_entries_errors() {
    let folder = folder("bad");
    let mut tasks = tasks(&folder, 9);
    fs::write(path(&tasks[1]), b"").unwrap();
    fs::write(path(&tasks[2]), b"no sound at all, but text").unwrap();
    fs::remove_file(path(&tasks[3])).unwrap();
    fs::remove_file(path(&tasks[4])).unwrap();
    fs::create_dir(path(&tasks[4])).unwrap();
    // Folders of pictures are made, but not where a file is.
    tasks[5].subject.file_name = "file.wav/5.png".into();
    fs::write(folder.join("file.wav"), b"").unwrap();
    fs::create_dir(folder.join(&tasks[6].subject.file_name)).unwrap();
    for threads in [1, 4] {
        let monitor = Monitor::default();
        let results = entries(&tasks, &job(&folder, threads), &monitor);
        let kinds: Vec<&str> = results
            .iter()
            .map(|entry| entry.failure.as_ref().map_or("made", |f| &f.kind))
            .collect();
        assert_eq!(
            kinds,
            ["made", "decode", "unsupported", "missing", "io", "io", "io", "made", "made"]
        );
        assert_eq!(monitor.done.load(Ordering::Relaxed), 9);
        assert_eq!(monitor.failed.load(Ordering::Relaxed), 6);
        for k in [1, 2, 3, 4] {
            assert!(!folder.join(&tasks[k].subject.file_name).exists());
        }
        assert_eq!(others(&folder), ["errors.jsonl", "manifest.jsonl", "metadata.csv"]);
        for table in others(&folder) {
            fs::remove_file(folder.join(table)).unwrap();
        }
    }
}

#[test]
fn cancelled_before_it_begins() {
    let folder = folder("cancelled");
    let tasks = tasks(&folder, 5);
    let monitor = Monitor::default();
    monitor.cancel.request();
    let outcome = run(&tasks.iter().cloned().collect(), &job(&folder, 2), &monitor);
    assert!(matches!(outcome, Err(Error::Cancelled)));
    assert!(tasks.iter().all(|task| !folder.join(&task.subject.file_name).exists()));
}

#[test]
fn cancelled_on_the_way() {
    let folder = folder("on the way");
    let recording = folder.join("long.wav");
    fs::write(&recording, wav(400_000, 4000, 3)).unwrap();
    let tasks: Vec<Task> =
        (0..3000).map(|k| task(recording.clone(), &format!("{k}.png"))).collect();
    let config = SpectrogramConfig { hop: Hop::Overlap(95.0), ..Default::default() };
    let (job, monitor) = (Job { config, ..job(&folder, 3) }, Monitor::default());
    let all: Tasks = tasks.iter().cloned().collect();
    thread::scope(|scope| {
        let work = scope.spawn(|| run(&all, &job, &monitor));
        while monitor.done.load(Ordering::Relaxed) < 2 {
            thread::sleep(Duration::from_millis(1));
        }
        monitor.cancel.request();
        let asked = Instant::now();
        assert!(matches!(work.join().unwrap(), Err(Error::Cancelled)));
        assert!(asked.elapsed() < Duration::from_secs(1));
    });
    // What was done is in the manifest, behind its first line.
    let made = fs::read_to_string(folder.join("manifest.jsonl")).unwrap().lines().count() - 1;
    assert!((2..3000).contains(&made));
    let pictures = tasks.iter().filter(|task| folder.join(&task.subject.file_name).exists());
    assert_eq!(pictures.count(), made);
    assert_eq!(others(&folder), ["manifest.jsonl"]);
}

#[test]
fn nothing_to_do() {
    let mut job = job(&folder("nothing"), 4);
    let none = Tasks::default();
    assert_eq!(run(&none, &job, &Monitor::default()).unwrap().totals.finished, 0);
    for segment_s in [0.0, 0.009, -1.0, f64::NAN, f64::INFINITY] {
        job.selection.segment_s = Some(segment_s);
        let outcome = run(&none, &job, &Monitor::default());
        assert!(matches!(outcome, Err(Error::Value { field: "segment_s", .. })), "{segment_s}");
    }
    job.config.window_ms = -1.0;
    let outcome = run(&none, &job, &Monitor::default());
    assert!(matches!(outcome, Err(Error::Value { field: "window_ms", .. })));
}

#[test]
fn names_as_long_as_the_system_allows() {
    let folder = folder("long");
    let recording = folder.join("x.wav");
    fs::write(&recording, wav(100, 4000, 3)).unwrap();
    let tasks = [task(recording, &("n".repeat(251) + ".png"))];
    let results = entries(&tasks, &job(&folder, 1), &Monitor::default());
    assert!(matches!(&results[..], [entry] if entry.failure.is_none()), "{results:?}");
    assert!(folder.join(&tasks[0].subject.file_name).exists());
}

#[test]
fn files_into_memory_that_is_used_again() {
    let folder = folder("files");
    let mut bytes = b"what was there before".to_vec();
    fs::write(folder.join("x"), b"abc").unwrap();
    let mut read = |path: &Path| {
        read(&Origin::File(path.to_owned()), &mut bytes, &Cancel::new()).map(|()| bytes.clone())
    };
    assert_eq!(read(&folder.join("x")).unwrap(), b"abc");
    assert_eq!(read(&folder.join("y")).unwrap_err().kind(), "missing");
    assert_eq!(read(&folder).unwrap_err().kind(), "io");
    if cfg!(unix) {
        let error = read(Path::new("/dev/zero")).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("expected a recording, found a pipe, a socket or a device"));
    }
}
