//! A configuration into rules.

use attache::ConfigError;

use crate::address::Prefixes;
use crate::change::Item;
use crate::condition::Condition;
use crate::config::Place;
use crate::names::Names;
use crate::token::JwtAction;

use super::check;
use super::{Allow, DEFAULT_HEADERS, DEFAULT_PARAMETERS, Folds, Jwt, Kind, Rule, Table};

/// What is wrong with a rule that names nothing.
const IDLE: &str = "the rule removes nothing";

/// Bits of the set of `allow` that hold.
const ALLOWS: usize = 64;

pub(super) fn rules(
    config: &Place<'_>,
    folds: Folds,
    can_hash: bool,
) -> Result<Vec<Rule>, ConfigError> {
    if config.get("rules").is_none() {
        let mut rule = Rule::new(folds);
        rule.add_defaults();
        return Ok(vec![rule]);
    }
    let list = config.list("rules");
    if list.is_empty() {
        let reason = "an empty list removes nothing; leave `rules` out for the defaults";
        return Err(config.fault_at("rules", reason));
    }
    let compiler = Compiler { folds, can_hash };
    let mut rules = Vec::new();
    for rule in &list {
        rules.push(compiler.rule(rule)?);
    }
    Ok(rules)
}

struct Compiler {
    folds: Folds,
    can_hash: bool,
}

impl Compiler {
    fn rule(&self, place: &Place<'_>) -> Result<Rule, ConfigError> {
        let mut rule = Rule::new(self.folds);
        if let Some(place) = place.get("match") {
            rule.condition = condition(&place)?;
        }
        let (request, response) = (place.get("request"), place.get("response"));
        if request.is_none() && response.is_none() {
            return Err(place.fault(IDLE));
        }
        if let Some(place) = request {
            self.request(&mut rule, &place)?;
        }
        if let Some(place) = response {
            self.response(&mut rule, &place)?;
        }
        let allow = place.list("allow");
        if allow.len() > ALLOWS {
            return Err(place.fault_at("allow", "expected at most 64 elements"));
        }
        for place in &allow {
            rule.allow.push(self.allow(place)?);
        }
        Ok(rule)
    }

    fn request(&self, rule: &mut Rule, place: &Place<'_>) -> Result<(), ConfigError> {
        for kind in Kind::REQUEST {
            self.table(rule, kind, place)?;
        }
        if place.flag("defaults", false) {
            rule.add_defaults();
        }
        if let Some(place) = place.get("client_ip") {
            rule.addresses = Some(addresses(&place)?);
            let headers = place.list("headers");
            Self::names(&mut rule.address_headers, Kind::Header, &headers)?;
            for place in &headers {
                check::changeable_header(place.text()).map_err(|reason| place.fault(reason))?;
            }
        }
        if let Some(place) = place.get("jwt") {
            rule.jwt = Some(token(rule, &place)?);
        }
        rule.trailers = place.flag("trailers", true);
        rule.copies = place.flag("copies", true);
        if rule.is_idle(&Kind::REQUEST) && rule.addresses.is_none() && rule.jwt.is_none() {
            return Err(place.fault(IDLE));
        }
        Ok(())
    }

    fn response(&self, rule: &mut Rule, place: &Place<'_>) -> Result<(), ConfigError> {
        for kind in Kind::RESPONSE {
            self.table(rule, kind, place)?;
        }
        rule.location_query = place.flag("location_query", false);
        rule.response_trailers = place.flag("trailers", true);
        if rule.location_query && rule.is_idle(&[Kind::Parameter]) {
            let reason = "the rule's request names no `query_parameters`";
            return Err(place.fault_at("location_query", reason));
        }
        if rule.is_idle(&Kind::RESPONSE) && !rule.location_query {
            return Err(place.fault("names neither `headers`, `set_cookies` nor `location_query`"));
        }
        Ok(())
    }

    fn table(&self, rule: &mut Rule, kind: Kind, place: &Place<'_>) -> Result<(), ConfigError> {
        let (list, table) = (place.list(kind.field()), rule.table_mut(kind));
        let fold = self.folds.of(kind);
        for (index, place) in list.iter().enumerate() {
            let item = check::item(kind, place, self.can_hash)?;
            let (name, is_prefix) = check::name_of(place);
            let folded = |name: &str| fold.name(name.as_bytes());
            let same = |other: &Place<'_>| {
                let (other, other_is_prefix) = check::name_of(other);
                other_is_prefix == is_prefix && folded(other) == folded(name)
            };
            let earlier = list.iter().take(index).position(same);
            if earlier.is_some_and(|earlier| table.items.get(earlier) != Some(&item)) {
                let reason = "the name is there twice, with other actions";
                return Err(place.fault_at("name", reason));
            }
            match is_prefix {
                true => table.names.add_prefix(name, index),
                false => table.names.add(name, index),
            }
            table.items.push(item);
        }
        Ok(())
    }

    fn allow(&self, place: &Place<'_>) -> Result<Allow, ConfigError> {
        let condition = condition(place)?;
        if condition.is_empty() {
            return Err(place.fault("names no destination"));
        }
        let mut names = Kind::REQUEST.map(|kind| Names::new(self.folds.of(kind)));
        for (names, kind) in names.iter_mut().zip(Kind::REQUEST) {
            Self::names(names, kind, &place.list(kind.field()))?;
        }
        let allow = Allow { condition, names };
        if allow.names.iter().all(Names::is_empty) {
            return Err(place.fault("allows nothing"));
        }
        Ok(allow)
    }

    fn names(names: &mut Names, kind: Kind, list: &[Place<'_>]) -> Result<(), ConfigError> {
        for (index, place) in list.iter().enumerate() {
            check::name(kind, place.text()).map_err(|reason| place.fault(reason))?;
            names.add(place.text(), index);
        }
        Ok(())
    }
}

impl Rule {
    fn new(folds: Folds) -> Self {
        Self {
            condition: Condition::default(),
            tables: Kind::ALL.map(|kind| Table::new(folds.of(kind))),
            addresses: None,
            address_headers: Names::new(folds.header),
            jwt: None,
            // A rule for responses alone says nothing of them.
            trailers: false,
            copies: false,
            location_query: false,
            response_trailers: false,
            allow: Vec::new(),
        }
    }

    /// Adds the default credentials behind what is named already.
    fn add_defaults(&mut self) {
        (self.trailers, self.copies) = (true, true);
        let tables = [
            (Kind::Header, &DEFAULT_HEADERS[..]),
            (Kind::Parameter, &DEFAULT_PARAMETERS[..]),
        ];
        for (kind, names) in tables {
            let table = self.table_mut(kind);
            let number = table.items.len();
            table.items.push(Item::REMOVE);
            for name in names {
                table.names.add(name, number);
            }
        }
    }
}

fn condition(place: &Place<'_>) -> Result<Condition, ConfigError> {
    Ok(Condition {
        authority: check::patterns(&place.list("authority"))?,
        path: check::patterns(&place.list("path"))?,
        methods: check::methods(&place.list("methods"))?,
        cluster: check::patterns(&place.list("cluster"))?,
    })
}

fn addresses(place: &Place<'_>) -> Result<Prefixes, ConfigError> {
    let bits = |key, otherwise: u32, most: u32| {
        let bits = match place.number(key) {
            None => Some(otherwise),
            Some(bits) => u32::try_from(bits).ok().filter(|bits| *bits <= most),
        };
        bits.ok_or_else(|| place.fault_at(key, "expected at most the bits of an address"))
    };
    let v4 = bits("ipv4_prefix_length", 24, 32)?;
    let v6 = bits("ipv6_prefix_length", 48, 128)?;
    Ok(match place.text_of("action") {
        Some("remove") => Prefixes::None,
        _ => Prefixes::Bits { v4, v6 },
    })
}

fn token(rule: &Rule, place: &Place<'_>) -> Result<Jwt, ConfigError> {
    let from = place.text_of("from").unwrap_or("authorization");
    check::changeable_header(from).map_err(|reason| place.fault_at("from", reason))?;
    let claims = place.get("claims_to_headers");
    let claims = claims.map(|claims| claims.members()).unwrap_or_default();
    for (index, (_, header)) in claims.iter().enumerate() {
        let name = header.text();
        let is_same = |other: &str| other.eq_ignore_ascii_case(name);
        let earlier = claims.iter().take(index);
        let item = rule.table(Kind::Header).find(name.as_bytes());
        check::changeable_header(name)
            .and_then(|()| match () {
                () if is_same(from) => Err("the token stands in this header"),
                () if earlier.clone().any(|(_, other)| is_same(other.text())) => {
                    Err("another claim goes to this header")
                }
                () if item.is_some_and(|item| !item.keeps()) => {
                    Err("the rule takes this header away")
                }
                () => Ok(()),
            })
            .map_err(|reason| header.fault(reason))?;
    }
    let pair =
        |(claim, header): &(&str, Place<'_>)| ((*claim).to_owned(), header.text().to_owned());
    Ok(Jwt {
        from: from.as_bytes().to_vec(),
        action: match place.text_of("action") {
            Some("remove") => JwtAction::Remove,
            Some("keep") => JwtAction::Keep,
            _ => JwtAction::StripSignature,
        },
        claims: claims.iter().map(pair).collect(),
    })
}
