//! Members that are refused by name, while the others are read.

use heartfast_core::limits::Limits;

use crate::build::{Member, Scratch, member, tar, zip};
use crate::refused;

#[test]
fn names_that_lead_out_of_the_archive() {
    for (odd, inside) in [
        ("../x.wav", "x.wav"),
        ("/etc/x.wav", "etc/x.wav"),
        ("a/../../x.wav", "a/x.wav"),
        ("C:/x.wav", "x.wav"),
        ("C:\\a\\x.wav", "a/x.wav"),
        ("..\\x.wav", "x.wav"),
        ("x\0.wav", "x.wav"),
        ("C:x.wav", "x.wav"),
        ("C:../D:.\0./x.wav", "x.wav"),
        ("a/D:/x.wav", "a/x.wav"),
        ("\\\\server\\share\\x.wav", "server/share/x.wav"),
    ] {
        let (name, error) = refused(member(odd, b"content", false));
        assert_eq!(name, inside);
        let shown = odd.escape_default().to_string().replace("\\u{0}", "\\x00");
        assert_eq!(error, format!("expected a name inside of the archive, found \"{shown}\""));
    }
    let content = || Ok(b"content".to_vec());
    for (odd, inside) in [("./x.wav", "x.wav"), ("a//./x.wav", "a/x.wav"), ("a\\x.wav", "a/x.wav")]
    {
        let members = Scratch::new(&zip(&[member(odd, b"content", true)])).members().unwrap();
        assert_eq!(members, [(inside.to_owned(), content())]);
    }
}

#[test]
fn one_name_twice_is_neither() {
    let twice = [member("x", b"1", false), member("y", b"2", false), member("./x", b"3", false)];
    let several = Err("expected one member of this name, found several".to_owned());
    let expected = [("x".to_owned(), several), ("y".to_owned(), Ok(b"2".to_vec()))];
    assert_eq!(Scratch::new(&zip(&twice)).members().unwrap(), expected);
}

#[test]
fn names_that_differ_by_case_only() {
    let names = ["a/X.wav", "a/x.wav", "É.wav", "é.wav", "b/x.wav", "y.wav", "Y.wav", "y.wav"];
    let members: Vec<_> = names.iter().map(|name| member(name, b"1", false)).collect();
    let read = Scratch::new(&zip(&members)).members().unwrap();
    let error = |name: &str| read.iter().find(|(n, _)| n == name).unwrap().1.clone().unwrap_err();
    let case = "expected a name that differs from all others in more than case, found also";
    for (name, twin) in [("a/X.wav", "a/x.wav"), ("a/x.wav", "a/X.wav"), ("é.wav", "É.wav")] {
        assert_eq!(error(name), format!("{case} \"{twin}\""));
    }
    assert_eq!(error("Y.wav"), format!("{case} \"y.wav\""));
    assert_eq!(error("y.wav"), "expected one member of this name, found several");
    assert!(read.contains(&("b/x.wav".to_owned(), Ok(b"1".to_vec()))));
    assert_eq!(read.len(), 7);
}

#[test]
fn a_tar_may_have_backslashes_in_names_but_not_ways_out() {
    let file = |name: &str| (name.to_owned(), b"1".to_vec());
    let members = Scratch::new(&tar(&[file("a\\x.wav")])).members().unwrap();
    assert_eq!(members, [("a\\x.wav".to_owned(), Ok(b"1".to_vec()))]);
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().name[..8].copy_from_slice(b"..\\x.wav");
    header.set_cksum();
    let members = Scratch::new(header.as_bytes()).members().unwrap();
    let error = "expected a name inside of the archive, found \"..\\\\x.wav\"".to_owned();
    assert_eq!(members, [("x.wav".to_owned(), Err(error))]);
}

#[test]
fn limits() {
    let silence = vec![0; 1_000_000];
    let long = Member { length: Some((256 << 20) + 1), ..member("bomb", &silence, true) };
    let bomb = zip(&[long, member("silence", &silence, true), member("x", b"1", true)]);
    let limits = Limits { max_archive_ratio: 100.0, ..Limits::default() };
    let members = Scratch::new(&bomb).members_within(&limits).unwrap();
    let error = members[0].1.clone().unwrap_err();
    let expected = "expected a member of at most 256 MB or 100 times its packed size (limit \
        max_archive_ratio), found 268435457 bytes of ";
    assert!(error.starts_with(expected), "{error}");
    assert_eq!(members[1].1, Ok(silence));
    assert_eq!(members[2].1, Ok(b"1".to_vec()));

    let files: Vec<_> = (0..5).map(|i| (i.to_string(), vec![1; 600])).collect();
    let limits = Limits { max_archive_members: 3, ..Limits::default() };
    let zipped: Vec<_> = files.iter().map(|(name, bytes)| member(name, bytes, true)).collect();
    for file in [zip(&zipped), tar(&files)] {
        let members = Scratch::new(&file).members_within(&limits).unwrap();
        let error = "expected an archive of at most 3 members (limit max_archive_members), found \
            more";
        assert_eq!(members[0], (String::new(), Err(error.to_owned())));
        let read: Vec<_> = files[..3].iter().map(|(n, c)| (n.clone(), Ok(c.clone()))).collect();
        assert_eq!(members[1..], read);
    }
}

#[test]
fn archives_that_are_compressed_as_a_whole() {
    for (start, found) in [
        (&b"\x1f\x8b\x08"[..], "a gzip stream; unpack it first (gzip -d)"),
        (b"\x28\xb5\x2f\xfd", "a zstd stream; unpack it first (zstd -d)"),
        (b"BZh91AY&SY", "a bzip2 stream; unpack it first (bzip2 -d)"),
        (b"\xfd7zXZ\0", "an xz stream; unpack it first (xz -d)"),
        (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive; unpack it first"),
        (b"Rar!\x1a\x07\x01", "a RAR archive; unpack it first"),
    ] {
        let members = Scratch::new(start).members().unwrap();
        let expected = "recordings, or a ZIP or tar that is not compressed as a whole";
        let error = format!("expected {expected}, found {found}");
        assert_eq!(members, [(String::new(), Err(error))]);
    }
}
