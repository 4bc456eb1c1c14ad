use super::*;
use crate::body::request_too_large;

/// Puts `[word]` in place of `word`, wherever it stands.
struct Mark {
    word: &'static [u8],
    limit: usize,
}

impl BodyTransform for Mark {
    fn body(&mut self, piece: &mut Piece<'_>) -> Result<(), Error> {
        loop {
            let rest = piece.rest();
            if rest.starts_with(self.word) {
                piece.skip(self.word.len());
                piece.write(b"[");
                piece.write(self.word);
                piece.write(b"]");
            } else if rest.is_empty() || (self.word.starts_with(rest) && !piece.is_last()) {
                return Ok(());
            } else {
                piece.keep(1);
            }
        }
    }

    fn hold_limit(&self) -> usize {
        self.limit
    }
}

/// What passes a host that holds bodies as Envoy does, and how often it was written to.
fn play(mut rewriter: Rewriter, chunks: &[&[u8]], ends: Ends) -> (Option<Vec<u8>>, usize) {
    let (mut buffer, mut passed, mut writes) = (Vec::new(), Vec::new(), 0);
    let mut run = |rewriter: &mut Rewriter, chunk: &[u8], is_last: bool, late: bool| {
        buffer.extend_from_slice(chunk);
        let news = buffer[rewriter.seen().min(buffer.len())..].to_vec();
        match rewriter.step(news, buffer.len(), is_last).unwrap() {
            Step::Wait => return true,
            Step::Pass => passed.append(&mut buffer),
            Step::Refuse => panic!("nobody refuses"),
            Step::Replace(bytes) if late && buffer.is_empty() && !bytes.is_empty() => return false,
            Step::Replace(bytes) => {
                writes += 1;
                buffer.clear();
                passed.extend(bytes);
            }
        }
        true
    };
    for chunk in chunks {
        run(&mut rewriter, chunk, false, false);
    }
    let whole = run(&mut rewriter, b"", true, ends == Ends::WithTrailers);
    (whole.then_some(passed), writes)
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ends {
    WithBody,
    WithTrailers,
}

fn mark(limit: usize) -> Rewriter {
    Rewriter::new(
        Box::new(Mark {
            word: b"secret",
            limit,
        }),
        Some(request_too_large),
    )
}

/// Each way to cut `text` in up to three.
fn cuts(text: &[u8]) -> impl Iterator<Item = [&[u8]; 3]> {
    (0..=text.len()).flat_map(move |first| {
        (first..=text.len())
            .map(move |second| [&text[..first], &text[first..second], &text[second..]])
    })
}

#[test]
fn the_output_is_the_same_for_every_cut() {
    let text = b"a secret, sesecret and secre";
    for limit in [6, 10, 1000] {
        for chunks in cuts(text) {
            let (passed, _) = play(mark(limit), &chunks, Ends::WithBody);
            let passed = passed.unwrap();
            assert_eq!(passed, b"a [secret], se[secret] and secre", "{chunks:?}");
        }
    }
}

#[test]
fn trailers_end_a_body_whole_or_not_at_all() {
    let text = b"a secret, sesecret and secre";
    let play = |limit| {
        let whole =
            cuts(text).filter_map(|chunks| play(mark(limit), &chunks, Ends::WithTrailers).0);
        whole
            .inspect(|passed| assert_eq!(passed, b"a [secret], se[secret] and secre"))
            .count()
    };
    // Below the limit everything that is held can still be written.
    assert_eq!(play(1000), cuts(text).count());
    assert!(play(6) < cuts(text).count());
}

#[test]
fn what_does_not_change_is_not_written() {
    for chunks in cuts(b"nothing to see") {
        assert_eq!(play(mark(1000), &chunks, Ends::WithBody).1, 0);
    }
}

#[test]
fn more_than_the_limit_is_not_held() {
    let mut rewriter = Rewriter::new(
        Box::new(Mark {
            word: b"a long word",
            limit: 4,
        }),
        Some(request_too_large),
    );
    assert_eq!(
        rewriter.step(b"a lo".to_vec(), 4, false).unwrap(),
        Step::Wait
    );
    let step = rewriter.step(b"ng".to_vec(), 6, false).unwrap();
    assert_eq!(step, Step::Refuse);
    let ending = rewriter.take_ending().unwrap();
    assert_eq!(ending.reply().status, http::StatusCode::PAYLOAD_TOO_LARGE);
}

#[test]
fn a_refusal_ends_the_body_and_the_piece_goes_nowhere() {
    let reply = || crate::LocalReply::new(http::StatusCode::FORBIDDEN);
    let refuses = move |piece: &mut Piece<'_>| match piece.rest().contains(&b'!') {
        true => {
            piece.keep(1);
            piece.refuse(reply());
        }
        false => piece.keep(usize::MAX),
    };
    let mut rewriter = Rewriter::new(Box::new(refuses), None);
    assert_eq!(rewriter.step(b"ab".to_vec(), 2, false).unwrap(), Step::Pass);
    let step = rewriter.step(b"c!".to_vec(), 2, true).unwrap();
    assert_eq!(step, Step::Refuse);
    let ending = rewriter.take_ending().unwrap();
    assert_eq!(ending.reply().status, reply().status);
}

#[test]
fn a_fault_behind_a_refusal_does_not_take_it_back() {
    struct Both;
    impl BodyTransform for Both {
        fn body(&mut self, piece: &mut Piece<'_>) -> Result<(), Error> {
            piece.refuse(crate::LocalReply::new(http::StatusCode::FORBIDDEN));
            Err(Error::filter("and then that"))
        }
    }
    let mut rewriter = Rewriter::new(Box::new(Both), None);
    let step = rewriter.step(b"a".to_vec(), 1, false).unwrap();
    assert_eq!(step, Step::Refuse);
}
