//! Ground on which the harness is known not to play what Envoy does.

use crate::exchange::StreamId;
use crate::host::Host;
use crate::world::World;

/// Makes the enum and its texts: the name, and why.
macro_rules! known_differences {
    ($($(#[$doc:meta])* $kind:ident $reach:ident $name:literal $why:literal;)*) => {
        /// What Envoy is known to do otherwise than the harness, or by a chance that a test cannot see.
        ///
        /// A host notes where a play comes to such ground, whatever its filters make of it: see
        /// [`Host::known_differences`].
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        pub enum KnownDifference {
            $(
                $(#[$doc])*
                #[doc = concat!("\n\n`", $name, "`: ", $why, ".")]
                $kind,
            )*
        }

        impl KnownDifference {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// A stable name, such as `response-line-breaks`: that of the suite that shows it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// What may differ where a play comes to it.
            #[must_use]
            pub const fn reach(self) -> Reach {
                match self { $(Self::$kind => Reach::$reach,)* }
            }

            /// What Envoy does, and why the harness does not.
            #[must_use]
            pub const fn why(self) -> &'static str {
                match self { $(Self::$kind => $why,)* }
            }
        }
    };
}

known_differences! {
    /// A body that went behind the watermark with the end of the message is looked at later.
    BodyBehindWatermark Process "body-behind-watermark"
        "Envoy looks at a buffer that may be gone, and crashes or not as its codec's memory has it";
    /// A value of a response holds a line break.
    ResponseLineBreaks Response "response-line-breaks"
        "over HTTP/1.1 Envoy sends it unchecked, and a client reads two headers";
    /// A message goes to a peer that no peer reads: a header has no name, say.
    UnreadableMessage Later "unreadable-message"
        "Envoy sends it, and peers refuse it, each in its own way; those of the harness take it";
}

/// How far a known difference reaches: all else has to be as on Envoy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reach {
    /// What the stream's client receives.
    Response,
    /// What happens to the stream and to what comes behind it, from there on.
    Later,
    /// The same, and Envoy may end.
    Process,
}

/// Where a play came to a known difference.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct KnownGround {
    /// Which one.
    pub difference: KnownDifference,
    /// The stream that it is about, if it is about one.
    pub stream: Option<StreamId>,
    /// So many lines had been logged.
    pub logged: usize,
}

impl std::fmt::Display for KnownDifference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl World {
    /// Notes that a play has come to such ground, in a stream or outside of one.
    pub(crate) fn comes_to(&mut self, slot: Option<usize>, difference: KnownDifference) {
        let stream = slot.map(|slot| self.streams[slot].exchange.id);
        let mut met = self.known_grounds.iter();
        if met.any(|ground| ground.difference == difference && ground.stream == stream) {
            return;
        }
        self.known_grounds.push(KnownGround {
            difference,
            stream,
            logged: self.log.len(),
        });
        let note = format!(
            "known difference {difference}: from here on Envoy may do otherwise: {}",
            difference.why()
        );
        self.timeline(slot).note(note);
    }
}

impl Host {
    /// Where what was played so far has come to known differences from Envoy, each once a stream: a real Envoy
    /// may do otherwise there, as far as each of them reaches.
    pub fn known_differences(&self) -> &[KnownGround] {
        &self.proxy.world.known_grounds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_texts_are_fragments() {
        let mut names: Vec<_> = KnownDifference::ALL.iter().map(|one| one.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), KnownDifference::ALL.len());
        for one in KnownDifference::ALL {
            assert!(!one.why().is_empty() && !one.why().ends_with('.'), "{one}");
        }
    }
}
