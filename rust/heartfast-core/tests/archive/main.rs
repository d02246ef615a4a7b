//! Members of ZIPs and tars: what is listed, and the bytes that are read.

#![allow(clippy::unwrap_used)]

mod build;
mod hostile;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use heartfast_core::Cancel;
use heartfast_core::archive::Archive;
use heartfast_core::batch::{Origin, Stamp, read};
use heartfast_core::limits::Limits;
use proptest::prelude::*;

use build::{Elsewhere, Member, Scratch, member, tar, zip};

fn contents() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let name = "[a-zé 0-9]{1,150}(/[a-z.]{0,3}[a-z]){0,2}";
    let byte = prop_oneof![Just(0u8), any::<u8>()];
    let content = prop_oneof![
        proptest::collection::vec(byte, 0..3000),
        (any::<u8>(), 0usize..300_000).prop_map(|(x, n)| vec![x; n]),
    ];
    proptest::collection::btree_map(name, content, 0..6).prop_map(|map| map.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_put_in_comes_out(contents in contents(), deflate in any::<u8>()) {
        let expected: Vec<_> = contents.iter().map(|(n, c)| (n.clone(), Ok(c.clone()))).collect();
        let members: Vec<Member> = contents
            .iter()
            .enumerate()
            .map(|(i, (name, content))| member(name, content, deflate >> i & 1 == 1))
            .collect();
        prop_assert_eq!(Scratch::new(&zip(&members)).members(), Some(expected.clone()));
        if !contents.is_empty() {
            prop_assert_eq!(Scratch::new(&tar(&contents)).members(), Some(expected));
        }
    }

    /// Whatever is wrong with it: an answer, and from a ZIP only bytes that sum up.
    #[test]
    fn damage(
        contents in contents(),
        is_zip in any::<bool>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        prop_assume!(!contents.is_empty());
        let zipped = |(name, content): &(String, Vec<u8>)| member(name, content, true);
        let mut file = if is_zip {
            zip(&contents.iter().map(zipped).collect::<Vec<_>>())
        } else {
            tar(&contents)
        };
        for (at, value) in changes {
            let at = at.index(file.len());
            file[at] = value;
        }
        if !whole {
            file.truncate(cut.index(file.len()));
        }
        let archive = Scratch::new(&file);
        let Some((opened, names)) = archive.open(&Limits::default()) else {
            return Ok(());
        };
        let opened = Arc::new(opened);
        for (i, name) in names.iter().enumerate() {
            let path = Path::new(name);
            let inside = path.components().all(|c| matches!(c, std::path::Component::Normal(_)));
            prop_assert!(inside, "{}", path.display());
            let mut bytes = Vec::new();
            let read = read(&Origin::Member(Arc::clone(&opened), i), &mut bytes, &Cancel::new());
            if read.is_ok() && is_zip {
                // CRC-32 finds all changes of up to 32 bits in a row; others once in 2^32.
                prop_assert!(contents.iter().any(|(_, content)| *content == bytes) || bytes.is_empty());
            }
        }
    }

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..2000), zip in any::<bool>()) {
        let start: &[u8] = if zip { b"PK\x03\x04" } else { b"" };
        let _ = Scratch::new(&[start, &bytes].concat()).members();
    }
}

/// The error of the only member of this ZIP.
fn refused(member: Member) -> (String, String) {
    let mut members = Scratch::new(&zip(&[member])).members().unwrap();
    assert_eq!(members.len(), 1);
    let (name, read) = members.remove(0);
    (name, read.unwrap_err())
}

#[test]
fn members_that_are_not_read() {
    let plain = member("a/x.wav", b"content", false);
    let packed = member("a/x.wav", &[7; 1000], true);
    for (odd, error) in [
        (
            Member { flags: 1, ..plain.clone() },
            "expected a ZIP member that is not encrypted, found one that is",
        ),
        (
            Member { method: Some(14), ..plain.clone() },
            "expected a ZIP member that is stored or deflated, found method 14",
        ),
        (
            Member { crc: Some(0xbad), ..plain.clone() },
            "expected the archive's checksum 00000bad, found 789e7e48",
        ),
        (Member { length: Some(6), ..plain.clone() }, "expected 6 bytes in the archive, found 7"),
        (
            Member { length: Some(999), ..packed.clone() },
            "expected 999 bytes in the archive, found more",
        ),
        (
            Member { length: Some(1001), ..packed.clone() },
            "expected 1001 bytes in the archive, found fewer",
        ),
        (
            Member { length: Some(u32::MAX - 1), ..packed.clone() },
            "expected a member of at most 256 MB or 1000 times its packed size (limit \
             max_archive_ratio), found 4294967294 bytes of 14",
        ),
    ] {
        let (name, found) = refused(odd);
        assert_eq!(name, "a/x.wav");
        if !error.contains("00000bad") {
            assert_eq!(found, error);
        } else {
            assert!(found.starts_with("expected the archive's checksum 00000bad, found "));
        }
    }
    let mut garbage = zip(&[packed]);
    garbage[40..44].fill(0xff);
    let (_, read) = Scratch::new(&garbage).members().unwrap().remove(0);
    assert_eq!(
        read.unwrap_err(),
        "expected 1000 bytes in the archive, found a damaged deflate stream"
    );
}

#[test]
fn a_list_that_breaks_off_is_no_silent_gap() {
    let mut file = tar(&[("a".into(), vec![1; 700]), ("b".into(), vec![2; 700])]);
    file[512 + 1024 + 10] ^= 1; // in the second header
    let members = Scratch::new(&file).members().unwrap();
    assert_eq!(members[1], ("a".into(), Ok(vec![1; 700])));
    let (name, error) = &members[0];
    assert_eq!(name, "");
    assert!(error.as_ref().unwrap_err().starts_with("expected an intact tar, found "), "{error:?}");

    let file = zip(&[member("a", b"1", false), member("b", b"2", false)]);
    let members = Scratch::new(&file[..file.len() - 5]).members().unwrap();
    assert_eq!(members.len(), 1);
    assert!(members[0].1.as_ref().unwrap_err().starts_with("expected an intact ZIP, found "));
}

#[test]
fn links_and_devices_are_refused() {
    let mut builder = tar::Builder::new(Vec::new());
    for (kind, name) in [
        (tar::EntryType::Symlink, "a"),
        (tar::EntryType::Link, "b"),
        (tar::EntryType::Fifo, "c"),
        (tar::EntryType::Directory, "d"),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_path(name).unwrap();
        header.set_link_name("x").unwrap();
        header.set_cksum();
        builder.append(&header, std::io::empty()).unwrap();
    }
    let members = Scratch::new(&builder.into_inner().unwrap()).members().unwrap();
    let errors: Vec<_> =
        members.iter().map(|(n, e)| (n.as_str(), e.clone().unwrap_err())).collect();
    assert_eq!(
        errors,
        [
            ("a", "expected a file in the archive, found a link".to_owned()),
            ("b", "expected a file in the archive, found a link".to_owned()),
            (
                "c",
                "expected a file in the archive, found a pipe, a device or something unknown"
                    .to_owned()
            ),
        ]
    );
}

#[test]
fn an_archive_that_changes() {
    let archive = Scratch::new(&zip(&[member("x", b"1", false)]));
    let (opened, _) = archive.open(&Limits::default()).unwrap();
    fs::write(&archive.0, zip(&[member("x", b"12", false)])).unwrap();
    let member = Origin::Member(Arc::new(opened), 0);
    let error = read(&member, &mut Vec::new(), &Cancel::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "expected the archive as it was when the run began, found another one"
    );
}

#[test]
fn cancelled() {
    let archive = Scratch::new(&zip(&[member("x", b"1", false)]));
    let cancel = Cancel::new();
    cancel.request();
    assert_eq!(
        Archive::open(&archive.0, &Limits::default(), &cancel).unwrap_err().kind(),
        "interrupted"
    );
}

/// Through a reader each reading is a request: few for a list, one for a small member.
#[test]
fn requests_are_few() {
    let contents: Vec<(String, Vec<u8>)> =
        (0..500u32).map(|i| (format!("{i:03}.wav"), vec![i as u8; 4000])).collect();
    let members: Vec<Member> = contents.iter().map(|(n, c)| member(n, c, true)).collect();
    for bytes in [zip(&members), tar(&contents)] {
        let stamp = Stamp { size: bytes.len() as u64, mtime_ns: 0 };
        let megabytes = bytes.len() / 1_000_000 + 1;
        let reader = Arc::new(Elsewhere { bytes, calls: AtomicUsize::new(0) });
        let asked = Arc::clone(&reader);
        let opened = Archive::open_remote(reader, stamp, &Limits::default(), &Cancel::new());
        let (archive, names) = opened.unwrap().unwrap();
        assert_eq!(names.len(), 500);
        assert!(asked.calls.swap(0, Ordering::Relaxed) <= 2 * megabytes + 4);
        let archive = Arc::new(archive);
        for at in (0..500).rev() {
            let mut bytes = Vec::new();
            read(&Origin::Member(Arc::clone(&archive), at), &mut bytes, &Cancel::new()).unwrap();
            assert_eq!(bytes, contents[at].1);
        }
        assert!(asked.calls.load(Ordering::Relaxed) <= 500);
    }
}
