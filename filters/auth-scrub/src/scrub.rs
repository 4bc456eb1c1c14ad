//! What the rules make of the headers and trailers of one stream.

use attache::http::HeaderValue;
use attache::{Fate, Headers};

use crate::change::{Change, Item, Outcome};
use crate::changes::Changes;
use crate::cookies;
use crate::judge::{Judge, Verdict};
use crate::query;
use crate::rules::{Decision, Jwt, Kind, Plan, Rules, is_protected};
use crate::special::Special;
use crate::token::Token;
use crate::userinfo;
use crate::websocket;

/// What gateways put before the names of headers that they make metadata of gRPC, and before those of metadata
/// that are to be headers.
const METADATA: [&[u8]; 2] = [b"grpc-metadata-", b"grpcgateway-"];

/// What a header has to do with a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Beside {
    /// It is the one that the token stands in.
    Token,
    /// A claim goes to it.
    Claim,
}

/// The header of a token, what is done to it, and what becomes of its value.
type Decided<'a> = (&'a [u8], Decision, Outcome);

/// What becomes of a header that is named; `None` where nobody names it.
type Own<'a> = fn(&mut Scrub<'a>, &[u8], &[u8]) -> Option<Outcome>;

/// One stream's look at the rules.
pub(crate) struct Scrub<'a> {
    rules: &'a Rules,
    plan: &'a Plan,
    /// Whether anything is changed, or only noted.
    enforce: bool,
    copies: bool,
    in_trailers: bool,
    /// Whether the next protocol of a WebSocket is the value of one that has gone.
    is_value: bool,
    changes: Changes,
    /// The tokens that are looked for, each with the place of its rule in the plan.
    tokens: Vec<(usize, &'a Jwt)>,
}

impl<'a> Scrub<'a> {
    pub(crate) fn new(rules: &'a Rules, plan: &'a Plan, enforce: bool) -> Self {
        Self {
            rules,
            plan,
            enforce,
            copies: rules.of(plan).any(|rule| rule.copies),
            in_trailers: false,
            is_value: false,
            changes: Changes::default(),
            tokens: rules.tokens(plan),
        }
    }

    /// What was changed so far, or would have been.
    pub(crate) fn changes(&self) -> Changes {
        self.changes
    }

    /// The headers of a request.
    pub(crate) fn request(&mut self, headers: &mut Headers) {
        let mut claims = Vec::new();
        let mut decided: Vec<Decided<'_>> = Vec::new();
        for &(place, jwt) in &self.tokens {
            // Of several, nobody knows which one counts.
            if let [value] = headers.all(&jwt.from[..])[..]
                && let Some(token) = Token::read(value)
                && let Some(decision) = self.rules.token_action(self.plan, place, jwt, value)
            {
                decided.push((&jwt.from, decision, token.apply(decision.action)));
                let claim = |(claim, header): &'a (String, String)| {
                    let value = HeaderValue::from_bytes(&token.claim(claim)?).ok()?;
                    Some((&header[..], value))
                };
                // What another rule takes away says nothing.
                if decision.own {
                    claims.extend(jwt.claims.iter().filter_map(claim));
                }
            }
        }
        headers.rewrite(|name, value| {
            // The first rule that names a token decides. Of those before it that may not hold, what leaves least.
            let mut found: Option<&Decided<'_>> = None;
            for one in &decided {
                if !name.eq_ignore_ascii_case(one.0) {
                    continue;
                }
                if found.is_none_or(|other| other.1.action < one.1.action) {
                    found = Some(one);
                }
                if one.1.ends {
                    break;
                }
            }
            let outcome = match found {
                Some((.., after)) => self.note(Changes::JWT, after.clone()),
                None => self.any_header(Kind::Header, name, value),
            };
            self.fate(outcome)
        });
        // Of several tokens, too: the last that is put there stays.
        for (header, value) in claims.into_iter().rev() {
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
            self.judged(Kind::Parameter, |judge| query::scrub(path, judge)),
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
        self.headers(Kind::ResponseHeader, headers);
    }

    /// The trailers of a request or response, which some take for more of its headers.
    pub(crate) fn trailers(&mut self, kind: Kind, trailers: &mut Headers) {
        self.in_trailers = true;
        self.headers(kind, trailers);
    }

    fn headers(&mut self, kind: Kind, headers: &mut Headers) {
        headers.rewrite(|name, value| {
            let outcome = self.any_header(kind, name, value);
            self.fate(outcome)
        });
    }

    /// A header, or one whose name is that of another in metadata of gRPC.
    fn any_header(&mut self, kind: Kind, name: &[u8], value: &[u8]) -> Outcome {
        let own: Own<'a> = match kind {
            Kind::Header => Self::request_header,
            _ => Self::response_header,
        };
        let copies = match kind {
            Kind::Header => self.copies,
            _ => self.in_trailers,
        };
        if let Some(outcome) = own(self, name, value) {
            return outcome;
        }
        if !copies {
            return Outcome::Stays;
        }
        let fold = self.rules.folds.header;
        let changes = self.changes;
        let (mut inner, mut outcome) = (name, None);
        // Either may stand before the other.
        for _ in 0..2 {
            let before = METADATA.iter().find(|before| fold.begins(before, inner));
            let rest = before.and_then(|before| inner.get(before.len()..));
            let rest = self.without_binary(rest.unwrap_or(inner));
            if outcome.is_some() || rest.len() == inner.len() {
                break;
            }
            inner = rest;
            outcome = own(self, inner, value);
        }
        let mut outcome = outcome.unwrap_or(Outcome::Stays);
        self.changes = changes;
        // Masked or hashed, it would no longer be Base64.
        if outcome != Outcome::Stays && self.is_binary(name) {
            outcome = Outcome::Goes;
        }
        self.note(Changes::COPIES, outcome)
    }

    /// `None` where nobody names it.
    fn request_header(&mut self, name: &[u8], value: &[u8]) -> Option<Outcome> {
        let beside = self.beside_token(name);
        Some(match self.verdict(Kind::Header, name, value) {
            Verdict::Changes(item) => self.header(Changes::HEADERS, item, name, value),
            Verdict::Keeps if beside != Some(Beside::Claim) => Outcome::Stays,
            _ if beside.is_some() => self.note(Changes::JWT, Outcome::Goes),
            _ => return self.special(name, value),
        })
    }

    /// A header that is more than a name and a value.
    fn special(&mut self, name: &[u8], value: &[u8]) -> Option<Outcome> {
        let known = self.rules.special.find(name);
        let addresses = self.rules.addresses(self.plan, name, known.is_some());
        let special = match known {
            None if addresses.is_some() => Special::Address,
            known => known?,
        };
        Some(match special {
            Special::Cookie => {
                let cookies = |judge: &Judge<'_>| cookies::scrub(value, judge);
                self.note(Changes::COOKIES, self.judged(Kind::Cookie, cookies))
            }
            Special::Address => {
                let outcome = addresses.map(|addresses| addresses.scrub(name, value));
                self.note(Changes::CLIENT_IP, outcome.unwrap_or(Outcome::Stays))
            }
            Special::Url => self.url(value),
            Special::Protocols if self.copies => {
                let mut is_value = self.is_value;
                let outcome = websocket::scrub(value, &mut is_value, |name| {
                    self.hides(Kind::Header, name, None) || self.hides(Kind::Parameter, name, None)
                });
                self.is_value = is_value;
                self.note(Changes::COPIES, outcome)
            }
            Special::Protocols => Outcome::Stays,
        })
    }

    /// A URL, a path or a host.
    #[inline(never)]
    fn url(&mut self, url: &[u8]) -> Outcome {
        if !self.copies {
            return Outcome::Stays;
        }
        let url = &*query::without_tabs(url);
        let hides = self.hides(Kind::Header, b"authorization", Some(b"Basic e"));
        let bare = userinfo::without(url).filter(|_| hides);
        let url = bare.as_deref().unwrap_or(url);
        let outcome = match self.judged(Kind::Parameter, |judge| query::scrub_url(url, true, judge))
        {
            Outcome::Stays => bare.map_or(Outcome::Stays, Outcome::Becomes),
            outcome => outcome,
        };
        self.note(Changes::COPIES, outcome)
    }

    /// `None` where nobody names it.
    fn response_header(&mut self, name: &[u8], value: &[u8]) -> Option<Outcome> {
        match self.verdict(Kind::ResponseHeader, name, value) {
            Verdict::Keeps => return Some(Outcome::Stays),
            Verdict::Changes(item) => {
                return Some(self.header(Changes::RESPONSE, item, name, value));
            }
            Verdict::Unnamed => {}
        }
        if name.eq_ignore_ascii_case(b"set-cookie") {
            let set = |judge: &Judge<'_>| cookies::scrub_set(value, judge);
            return Some(self.note(Changes::SET_COOKIES, self.judged(Kind::SetCookie, set)));
        }
        let mut rules = self.rules.of(self.plan);
        if name.eq_ignore_ascii_case(b"location") && rules.any(|rule| rule.location_query) {
            let url = &*query::without_tabs(value);
            let url = |judge: &Judge<'_>| query::scrub_url(url, false, judge);
            return Some(self.note(Changes::LOCATION, self.judged(Kind::Parameter, url)));
        }
        None
    }

    /// A header that is named.
    fn header(&mut self, kind: u16, item: &Item, name: &[u8], value: &[u8]) -> Outcome {
        if is_protected(name) {
            return Outcome::Stays;
        }
        // Masked or hashed, it would no longer be Base64.
        let outcome = match self.is_binary(name) && !matches!(item.change, Change::Keep) {
            true => Outcome::Goes,
            false => item.apply(value, self.rules.hasher.as_ref()),
        };
        self.note(kind, outcome)
    }

    fn is_binary(&self, name: &[u8]) -> bool {
        self.without_binary(name).len() != name.len()
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

    /// Whether a header is that of a token, or one that a claim goes to, by another spelling or more often
    /// than once.
    fn beside_token(&self, name: &[u8]) -> Option<Beside> {
        let fold = self.rules.folds.header;
        let same = |own: &[u8]| own.len() == name.len() && fold.begins(&fold.name(own), name);
        let beside = |(_, jwt): &(usize, &Jwt)| {
            let mut claims = jwt.claims.iter();
            match claims.any(|(_, header)| same(header.as_bytes())) {
                true => Some(Beside::Claim),
                false => same(&jwt.from).then_some(Beside::Token),
            }
        };
        self.tokens.iter().find_map(beside)
    }

    /// Whether a value goes or becomes another one, that is no token where a token alone is let through.
    fn hides(&self, kind: Kind, name: &[u8], value: Option<&[u8]>) -> bool {
        match self.rules.verdict(self.plan, kind, name, value) {
            Verdict::Changes(_) => true,
            Verdict::Keeps => false,
            Verdict::Unnamed => {
                kind == Kind::Header && self.beside_token(name) == Some(Beside::Token)
            }
        }
    }

    fn verdict(&self, kind: Kind, name: &[u8], value: &[u8]) -> Verdict<'a> {
        self.rules.verdict(self.plan, kind, name, Some(value))
    }

    fn judged(&self, kind: Kind, scrub: impl FnOnce(&Judge<'_>) -> Outcome) -> Outcome {
        if !self.rules.looks_at(self.plan, kind) {
            return Outcome::Stays;
        }
        let find = |name: &[u8]| self.rules.verdict(self.plan, kind, name, None);
        scrub(&Judge::new(&find, self.rules.hasher.as_ref()))
    }

    #[inline(never)]
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
