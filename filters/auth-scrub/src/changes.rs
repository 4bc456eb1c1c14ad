//! Which kinds of things were changed.

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Changes(u16);

/// In the order of the bits.
const WORDS: [&str; 10] = [
    "headers",
    "cookies",
    "query",
    "client_ip",
    "jwt",
    "copies",
    "response_headers",
    "set_cookies",
    "location",
    "trailers",
];

impl Changes {
    pub(crate) const HEADERS: u16 = 1;
    pub(crate) const COOKIES: u16 = 1 << 1;
    pub(crate) const QUERY: u16 = 1 << 2;
    pub(crate) const CLIENT_IP: u16 = 1 << 3;
    pub(crate) const JWT: u16 = 1 << 4;
    pub(crate) const COPIES: u16 = 1 << 5;
    pub(crate) const RESPONSE: u16 = 1 << 6;
    pub(crate) const SET_COOKIES: u16 = 1 << 7;
    pub(crate) const LOCATION: u16 = 1 << 8;
    pub(crate) const TRAILERS: u16 = 1 << 9;

    pub(crate) fn add(&mut self, kind: u16) {
        self.0 |= kind;
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The kinds, with commas between them.
    pub(crate) fn words(self) -> String {
        let mut text = String::new();
        for (bit, word) in WORDS.iter().enumerate() {
            if self.0 >> bit & 1 == 1 {
                if !text.is_empty() {
                    text.push(',');
                }
                text.push_str(word);
            }
        }
        text
    }
}
