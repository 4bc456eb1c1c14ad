//! What the rules make of the headers and trailers of one stream.

use attache::http::HeaderValue;
use attache::{Fate, Headers};

use crate::change::{Change, Item, Outcome};
use crate::changes::Changes;
use crate::cookies;
use crate::judge::{Judge, Verdict};
use crate::query;
use crate::rules::{Jwt, Kind, Plan, Rules, is_protected};
use crate::special::Special;
use crate::token::Token;
use crate::userinfo;
use crate::websocket;

/// Metadata of gRPC, as gateways spell them in headers.
const METADATA: &[u8] = b"grpc-metadata-";

/// One stream's look at the rules.
pub(crate) struct Scrub<'a> {
    rules: &'a Rules,
    plan: &'a Plan,
    /// Whether anything is changed, or only noted.
    enforce: bool,
    copies: bool,
    in_trailers: bool,
    changes: Changes,
}

impl<'a> Scrub<'a> {
    pub(crate) fn new(rules: &'a Rules, plan: &'a Plan, enforce: bool) -> Self {
        Self {
            rules,
            plan,
            enforce,
            copies: rules.of(plan).any(|rule| rule.copies),
            in_trailers: false,
            changes: Changes::default(),
        }
    }

    /// What was changed so far, or would have been.
    pub(crate) fn changes(&self) -> Changes {
        self.changes
    }

    /// The headers of a request.
    pub(crate) fn request(&mut self, headers: &mut Headers) {
        let rules = self.rules;
        let jwt = rules.of(self.plan).find_map(|rule| rule.jwt.as_ref());
        let mut claims = Vec::new();
        let mut after = Outcome::Goes;
        let mut is_token = false;
        if let Some(jwt) = jwt
            // Of several, nobody knows which one counts.
            && let [value] = headers.all(&jwt.from[..])[..]
            && let Some(token) = Token::read(value)
        {
            is_token = true;
            after = token.apply(jwt.action);
            let claim = |(claim, header): &'a (String, String)| {
                let value = HeaderValue::from_bytes(&token.claim(claim)?).ok()?;
                Some((&header[..], value))
            };
            claims = jwt.claims.iter().filter_map(claim).collect();
        }
        headers.rewrite(|name, value| {
            let outcome = match jwt {
                Some(jwt) if is_token && name.eq_ignore_ascii_case(&jwt.from) => {
                    self.note(Changes::JWT, after.clone())
                }
                Some(jwt) if self.is_of(jwt, name) => self.beside_token(jwt, name, value),
                _ => self.request_header(name, value),
            };
            self.fate(outcome)
        });
        for (header, value) in claims {
            self.changes.add(Changes::JWT);
            if self.enforce {
                headers.insert(header, value);
            }
        }
    }

    /// The path with its query; `None` where it stays.
    pub(crate) fn path(&mut self, path: &[u8]) -> Option<Vec<u8>> {
        match self.note(
            Changes::QUERY,
            self.in_query(|judge| query::scrub(path, judge)),
        ) {
            Outcome::Becomes(path) => Some(path),
            _ => None,
        }
    }

    /// Whether the request is answered for a user and a password before its host, which HTTP forbids ([RFC 9113,
    /// 8.3.1], [RFC 9110, 4.2.4]). Without them the host may be another virtual host's, for which no filter
    /// before this one has judged the request.
    ///
    /// [RFC 9113, 8.3.1]: https://www.rfc-editor.org/rfc/rfc9113#section-8.3.1
    /// [RFC 9110, 4.2.4]: https://www.rfc-editor.org/rfc/rfc9110#section-4.2.4
    pub(crate) fn refuses_host(&mut self, host: &[u8]) -> bool {
        matches!(self.url(host), Outcome::Becomes(_)) && self.enforce
    }

    /// The headers of a response.
    pub(crate) fn response(&mut self, headers: &mut Headers) {
        headers.rewrite(|name, value| {
            let outcome = self.response_header(name, value);
            self.fate(outcome)
        });
    }

    /// The trailers of a request or response, which some take for more of its headers.
    pub(crate) fn trailers(&mut self, kind: Kind, trailers: &mut Headers) {
        self.in_trailers = true;
        let jwt = self.rules.of(self.plan).find_map(|rule| rule.jwt.as_ref());
        let jwt = jwt.filter(|_| kind == Kind::Header);
        trailers.rewrite(|name, value| {
            let outcome = match jwt {
                Some(jwt) if self.is_of(jwt, name) => self.beside_token(jwt, name, value),
                _ if kind == Kind::Header => self.request_header(name, value),
                _ => self.response_header(name, value),
            };
            self.fate(outcome)
        });
    }

    fn request_header(&mut self, name: &[u8], value: &[u8]) -> Outcome {
        match self.verdict(Kind::Header, name, value) {
            Verdict::Keeps => return Outcome::Stays,
            Verdict::Changes(item) => return self.header(Changes::HEADERS, item, name, value),
            Verdict::Unnamed => {}
        }
        match self.rules.special.find(name) {
            Some(Special::Cookie) => {
                let cookies = |judge: &Judge<'_>| cookies::scrub(value, judge);
                self.note(Changes::COOKIES, self.in_cookies(Kind::Cookie, cookies))
            }
            Some(Special::Address) => {
                let addresses = self.rules.of(self.plan).find_map(|rule| rule.addresses);
                let outcome = addresses.map(|addresses| addresses.scrub(name, value));
                self.note(Changes::CLIENT_IP, outcome.unwrap_or(Outcome::Stays))
            }
            Some(Special::Url) => self.url(value),
            Some(Special::Protocols) if self.copies => {
                let names = |kind, name: &[u8]| {
                    let said = self.rules.verdict(self.plan, kind, name, None);
                    matches!(said, Verdict::Changes(_))
                };
                let outcome = websocket::scrub(value, |name| {
                    names(Kind::Header, name) || names(Kind::Parameter, name)
                });
                self.note(Changes::COPIES, outcome)
            }
            _ => self.alias(Kind::Header, name, value),
        }
    }

    /// A URL, a path or a host.
    #[inline(never)]
    fn url(&mut self, url: &[u8]) -> Outcome {
        if !self.copies {
            return Outcome::Stays;
        }
        let authorization = self.verdict(Kind::Header, b"authorization", b"Basic e");
        let hides = matches!(authorization, Verdict::Changes(_));
        let bare = userinfo::without(url).filter(|_| hides);
        let url = bare.as_deref().unwrap_or(url);
        let outcome = match self.in_query(|judge| query::scrub_url(url, true, judge)) {
            Outcome::Stays => bare.map_or(Outcome::Stays, Outcome::Becomes),
            outcome => outcome,
        };
        self.note(Changes::COPIES, outcome)
    }

    fn response_header(&mut self, name: &[u8], value: &[u8]) -> Outcome {
        match self.verdict(Kind::ResponseHeader, name, value) {
            Verdict::Keeps => return Outcome::Stays,
            Verdict::Changes(item) => return self.header(Changes::RESPONSE, item, name, value),
            Verdict::Unnamed => {}
        }
        if name.eq_ignore_ascii_case(b"set-cookie") {
            let set = |judge: &Judge<'_>| cookies::scrub_set(value, judge);
            return self.note(Changes::SET_COOKIES, self.in_cookies(Kind::SetCookie, set));
        }
        let mut rules = self.rules.of(self.plan);
        if name.eq_ignore_ascii_case(b"location") && rules.any(|rule| rule.location_query) {
            let url = |judge: &Judge<'_>| query::scrub_url(value, false, judge);
            return self.note(Changes::LOCATION, self.in_query(url));
        }
        match self.in_trailers {
            true => self.alias(Kind::ResponseHeader, name, value),
            false => Outcome::Stays,
        }
    }

    /// A header whose name is that of another one in metadata of gRPC.
    fn alias(&mut self, kind: Kind, name: &[u8], value: &[u8]) -> Outcome {
        if !self.copies {
            return Outcome::Stays;
        }
        let fold = self.rules.folds.header;
        let inner = match fold.begins(METADATA, name) {
            true => name.get(METADATA.len()..).unwrap_or_default(),
            false => name,
        };
        let inner = self.without_binary(inner);
        if inner.len() == name.len() {
            return Outcome::Stays;
        }
        match self.verdict(kind, inner, value) {
            Verdict::Changes(item) => self.header(Changes::COPIES, item, name, value),
            _ => Outcome::Stays,
        }
    }

    /// A header that is named.
    fn header(&mut self, kind: u16, item: &Item, name: &[u8], value: &[u8]) -> Outcome {
        if is_protected(name) {
            return Outcome::Stays;
        }
        // Masked or hashed, it would no longer be Base64.
        let is_binary = self.without_binary(name).len() != name.len();
        let outcome = match is_binary && !matches!(item.change, Change::Keep) {
            true => Outcome::Goes,
            false => item.apply(value, self.rules.hasher.as_ref()),
        };
        self.note(kind, outcome)
    }

    fn without_binary<'n>(&self, name: &'n [u8]) -> &'n [u8] {
        match name
            .len()
            .checked_sub(4)
            .and_then(|end| name.split_at_checked(end))
        {
            Some((front, end)) if self.rules.folds.header.begins(b"-bin", end) => front,
            _ => name,
        }
    }

    /// Whether a header is the token's, or one that a claim goes to, by another spelling or more often
    /// than once.
    fn is_of(&self, jwt: &Jwt, name: &[u8]) -> bool {
        let fold = self.rules.folds.header;
        let same = |own: &[u8]| own.len() == name.len() && fold.begins(&fold.name(own), name);
        same(&jwt.from) || jwt.claims.iter().any(|(_, header)| same(header.as_bytes()))
    }

    fn beside_token(&mut self, jwt: &Jwt, name: &[u8], value: &[u8]) -> Outcome {
        let is_claim = !name.eq_ignore_ascii_case(&jwt.from);
        match self.verdict(Kind::Header, name, value) {
            Verdict::Changes(item) => self.header(Changes::HEADERS, item, name, value),
            Verdict::Keeps if !is_claim => Outcome::Stays,
            _ => self.note(Changes::JWT, Outcome::Goes),
        }
    }

    fn verdict(&self, kind: Kind, name: &[u8], value: &[u8]) -> Verdict<'a> {
        self.rules.verdict(self.plan, kind, name, Some(value))
    }

    fn in_query(&self, scrub: impl FnOnce(&Judge<'_>) -> Outcome) -> Outcome {
        self.judged(Kind::Parameter, scrub)
    }

    fn in_cookies(&self, kind: Kind, scrub: impl FnOnce(&Judge<'_>) -> Outcome) -> Outcome {
        self.judged(kind, scrub)
    }

    fn judged(&self, kind: Kind, scrub: impl FnOnce(&Judge<'_>) -> Outcome) -> Outcome {
        if !self.rules.looks_at(self.plan, kind) {
            return Outcome::Stays;
        }
        let find = |name: &[u8]| self.rules.verdict(self.plan, kind, name, None);
        scrub(&Judge::new(&find, self.rules.hasher.as_ref()))
    }

    fn note(&mut self, kind: u16, outcome: Outcome) -> Outcome {
        if outcome != Outcome::Stays {
            self.changes.add(match self.in_trailers {
                true => Changes::TRAILERS,
                false => kind,
            });
        }
        outcome
    }

    fn fate(&self, outcome: Outcome) -> Fate {
        match outcome {
            _ if !self.enforce => Fate::Stays,
            Outcome::Stays => Fate::Stays,
            Outcome::Goes => Fate::Goes,
            // What cannot stand in a header goes.
            Outcome::Becomes(value) => {
                HeaderValue::from_bytes(&value).map_or(Fate::Goes, Fate::Becomes)
            }
        }
    }
}
