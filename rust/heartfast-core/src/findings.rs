//! What was odd about a recording that was read all the same, and where sound is missing in it.

use crate::error::Error;

/// The kind of remark about a recording that is shorter than its header says.
pub const CUT: &str = "cut";
/// The kind of remark about a recording whose header gives a size that does not fit the file.
pub const SIZE: &str = "size";
/// The kind of remark about a file with data that is not read.
pub const EXTRA: &str = "extra";
/// The kind of remark about a recording whose pages, frames or packets do not fit together.
pub const STREAM: &str = "stream";

/// The kind of remark about a recording with samples that are no finite numbers.
pub const SILENCED: &str = "silenced";

/// Something odd about a recording that was read all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// One word, by which remarks are counted.
    pub kind: String,
    /// What the file says and what was found.
    pub text: String,
}

impl Remark {
    /// The remark about a recording that ends after `found` of the samples that its header
    /// `declared`.
    pub(crate) fn cut(declared: u64, found: u64, sample_rate: u32) -> Self {
        let seconds = |frames: u64| match frames as f64 / f64::from(sample_rate.max(1)) {
            s if s >= 0.01 => format!("{s:.3} s"),
            _ if frames == 1 => "1 sample".to_owned(),
            _ => format!("{frames} samples"),
        };
        let text = format!("header {}, found {}", seconds(declared), seconds(found));
        Self { kind: CUT.into(), text }
    }

    pub(crate) fn stream(text: &str) -> Self {
        Self::new(STREAM, text.to_owned())
    }

    pub(crate) fn new(kind: &str, text: String) -> Self {
        Self { kind: kind.into(), text }
    }
}

/// Sound that is missing: silence of the same length was read in its place, or it was at the end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lost {
    /// Where the first gap begins, in seconds.
    pub start_s: f64,
    /// How long it is, in seconds.
    pub length_s: f64,
    /// The byte of the file that was read to when it was found.
    pub offset: u64,
    /// Seconds of all gaps together.
    pub total_s: f64,
    /// How many gaps there are.
    pub gaps: u64,
    /// Where the last one ends, in seconds.
    end_s: f64,
}

/// All that a reader has to say about a recording. Its size does not grow with the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings {
    /// At most one of each kind.
    pub remarks: Vec<Remark>,
    /// Where sound is missing.
    pub lost: Option<Lost>,
}

impl Findings {
    /// Adds a remark, unless there is one of its kind.
    pub(crate) fn remark(&mut self, remark: Remark) {
        if self.remarks.iter().all(|known| known.kind != remark.kind) {
            self.remarks.push(remark);
        }
    }

    /// Adds a gap behind all that are known. One that begins where the last one ends is part of it.
    pub(crate) fn lose(&mut self, start_s: f64, length_s: f64, offset: u64) {
        let end_s = start_s + length_s;
        let Some(lost) = &mut self.lost else {
            let (total_s, gaps) = (length_s, 1);
            self.lost = Some(Lost { start_s, length_s, offset, total_s, gaps, end_s });
            return;
        };
        // Less than half a sample at any rate: the same place.
        let joins = (start_s - lost.end_s).abs() < 1e-7;
        if joins && lost.gaps == 1 {
            lost.length_s += length_s;
        }
        lost.gaps += u64::from(!joins);
        lost.total_s += length_s;
        lost.end_s = end_s;
    }

    /// The error of a recording that has gaps.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        let Lost { start_s, length_s, offset, total_s, gaps, .. } = self.lost?;
        let mut found = format!("{length_s:.3} s missing, {start_s:.3} s in");
        if gaps > 1 {
            let rest_s = total_s - length_s;
            let s = if gaps > 2 { "s" } else { "" };
            found += &format!(", and {rest_s:.3} s more in {} other place{s}", gaps - 1);
        }
        Some(Error::decode("sound data", found).at(offset))
    }

    /// The remarks about a recording of which all sound is there.
    ///
    /// # Errors
    /// [`Error::Decode`] if sound is missing.
    pub fn whole(self) -> Result<Vec<Remark>, Error> {
        self.error().map_or(Ok(self.remarks), Err)
    }
}

/// How many recordings have remarks of a kind, and the first of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The kind.
    pub kind: String,
    /// Recordings with such a remark.
    pub recordings: usize,
    /// The place of the first one among all recordings.
    pub first: usize,
    /// What its remark says.
    pub text: String,
}

/// Remarks by kind, in the order of their first appearance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally(pub Vec<Count>);

impl Tally {
    /// Counts the remarks about a recording, which comes after all that were counted before.
    pub fn add(&mut self, recording: usize, remarks: &[Remark]) {
        for Remark { kind, text } in remarks {
            match self.0.iter_mut().find(|count| count.kind == *kind) {
                Some(count) => count.recordings += 1,
                None => self.0.push(Count {
                    kind: kind.clone(),
                    recordings: 1,
                    first: recording,
                    text: text.clone(),
                }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Findings, Remark, Tally};

    #[test]
    fn gaps_side_by_side_are_one() {
        let mut found = Findings::default();
        found.lose(1.0, 0.5, 10);
        found.lose(1.5, 0.25, 20);
        let text = |found: &Findings| found.error().map(|e| e.to_string());
        let one = "expected sound data, found 0.750 s missing, 1.000 s in";
        assert_eq!(text(&found).as_deref(), Some(one));
        found.lose(3.0, 0.125, 30);
        let two = format!("{one}, and 0.125 s more in 1 other place");
        assert_eq!(text(&found), Some(two));
        assert_eq!(found.error().and_then(|e| e.offset()), Some(10));
    }

    #[test]
    fn a_kind_is_counted_once_for_a_recording() {
        let mut found = Findings::default();
        found.remark(Remark::cut(40_000, 1, 4000));
        found.remark(Remark::cut(80_000, 40_000, 4000));
        let mut tally = Tally::default();
        tally.add(3, &found.remarks);
        tally.add(5, &found.remarks);
        let [count] = &tally.0[..] else { panic!("{tally:?}") };
        assert_eq!((count.recordings, count.first), (2, 3));
        assert_eq!(count.text, "header 10.000 s, found 1 sample");
    }
}
