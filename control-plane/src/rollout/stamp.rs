use std::fs::Metadata;
use std::time::{Duration, SystemTime};

/// What a file's system says of it, by which it is known not to have changed since it was read.
///
/// A file that changes twice within a tick of its system's clock looks as it did after the first time. So what is
/// said is believed only of a file that had been left alone for a while when it was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stamp {
    length: u64,
    number: (u64, u64),
    modified: Duration,
    changed: Duration,
}

/// The coarsest clocks of files have ticks of two seconds.
const LEFT_ALONE: Duration = Duration::from_secs(3);

impl Stamp {
    /// What is said of a file that is read now, if it is to be believed.
    #[cfg(unix)]
    pub(super) fn of(file: &Metadata, now: SystemTime) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;

        // Whatever is before 1970 or in the time to come is not believed.
        let time = |seconds: i64, nanoseconds: i64| {
            let seconds = Duration::from_secs(seconds.try_into().ok()?);
            seconds.checked_add(Duration::from_nanos(nanoseconds.try_into().ok()?))
        };
        let stamp = Self {
            length: file.len(),
            number: (file.dev(), file.ino()),
            modified: time(file.mtime(), file.mtime_nsec())?,
            changed: time(file.ctime(), file.ctime_nsec())?,
        };
        let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let last = stamp.modified.max(stamp.changed);
        let is_left_alone = now.checked_sub(last)? > LEFT_ALONE;
        is_left_alone.then_some(stamp)
    }

    /// Nothing is believed.
    #[cfg(not(unix))]
    pub(super) fn of(_: &Metadata, _: SystemTime) -> Option<Self> {
        None
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_believed_once_it_was_left_alone() {
        let path = std::env::temp_dir().join(format!("attache-stamp-{}", std::process::id()));
        fs::write(&path, "a").unwrap();
        let about = fs::metadata(&path).unwrap();
        let now = SystemTime::now();
        assert_eq!(Stamp::of(&about, now), None);
        assert_eq!(Stamp::of(&about, now - Duration::from_secs(60)), None);
        let later = now + Duration::from_secs(60);
        let stamp = Stamp::of(&about, later).unwrap();
        // Another file under this name, of the same length and with the same time of writing.
        let beside = path.with_extension("beside");
        fs::write(&beside, "b").unwrap();
        let file = fs::File::options().write(true).open(&beside).unwrap();
        file.set_modified(about.modified().unwrap()).unwrap();
        fs::rename(&beside, &path).unwrap();
        let other = Stamp::of(&fs::metadata(&path).unwrap(), later).unwrap();
        assert_ne!(stamp, other);
        fs::remove_file(&path).unwrap();
    }
}
