//! The configuration, ready to decide.

use attache::ConfigError;

use crate::address::Prefixes;
use crate::change::Item;
use crate::condition::{Condition, Facts, Holds};
use crate::config::Place;
use crate::digest::Hasher;
use crate::judge::Verdict;
use crate::names::{Fold, Names};
use crate::special::Specials;
use crate::token::JwtAction;

mod check;
mod compile;
mod defaults;

pub(crate) use self::check::is_protected;
use self::defaults::{HEADERS as DEFAULT_HEADERS, PARAMETERS as DEFAULT_PARAMETERS};

/// What goes, and where.
#[derive(Debug)]
pub(crate) struct Rules {
    rules: Vec<Rule>,
    pub(crate) folds: Folds,
    pub(crate) special: Specials,
    pub(crate) hasher: Option<Hasher>,
    /// Whether all rules are for all requests, so that nothing is asked of them.
    is_simple: bool,
    asks_cluster: bool,
}

static REMOVE: Item = Item::REMOVE;

/// What counts as the same name, by kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Folds {
    pub(crate) header: Fold,
    pub(crate) cookie: Fold,
    pub(crate) parameter: Fold,
}

/// The kinds of names that items are for, those of requests first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Header,
    Cookie,
    Parameter,
    ResponseHeader,
    SetCookie,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Header,
        Self::Cookie,
        Self::Parameter,
        Self::ResponseHeader,
        Self::SetCookie,
    ];
    /// An `allow` knows no others.
    const REQUEST: [Self; 3] = [Self::Header, Self::Cookie, Self::Parameter];
    const RESPONSE: [Self; 2] = [Self::ResponseHeader, Self::SetCookie];

    /// The field of a configuration that lists names of this kind.
    fn field(self) -> &'static str {
        match self {
            Self::Header | Self::ResponseHeader => "headers",
            Self::Cookie => "cookies",
            Self::Parameter => "query_parameters",
            Self::SetCookie => "set_cookies",
        }
    }
}

/// Items by name.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) names: Names,
    pub(crate) items: Vec<Item>,
}

#[derive(Debug)]
pub(crate) struct Rule {
    condition: Condition,
    /// By kind.
    tables: [Table; 5],
    pub(crate) addresses: Option<Prefixes>,
    /// Headers that carry addresses besides the known ones.
    pub(crate) address_headers: Names,
    pub(crate) jwt: Option<Jwt>,
    pub(crate) trailers: bool,
    pub(crate) copies: bool,
    pub(crate) location_query: bool,
    pub(crate) response_trailers: bool,
    allow: Vec<Allow>,
}

/// Where something may go on.
#[derive(Debug)]
struct Allow {
    condition: Condition,
    /// By kind, as far as they are of requests.
    names: [Names; 3],
}

/// What is done with a token.
#[derive(Debug)]
pub(crate) struct Jwt {
    pub(crate) from: Vec<u8>,
    pub(crate) action: JwtAction,
    /// Claims and the headers that they go to.
    pub(crate) claims: Vec<(String, String)>,
}

/// The rules that are for one stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan(Vec<Active>);

#[derive(Clone, Copy, Debug)]
struct Active {
    rule: usize,
    certain: bool,
    /// A bit for each of its `allow` that holds.
    allow: u64,
}

/// What a rule has done to a token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decision {
    pub(crate) action: JwtAction,
    /// Whether no later rule is asked.
    pub(crate) ends: bool,
    /// Whether the rule itself does it, which may then make headers of claims.
    pub(crate) own: bool,
}

impl Decision {
    /// That of a rule that holds.
    fn last(action: JwtAction) -> Self {
        Self {
            action,
            ends: true,
            own: true,
        }
    }
}

impl Rules {
    /// Checks a configuration.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] for what cannot work or would do nothing.
    pub(crate) fn new(config: &Place<'_>, hasher: Option<Hasher>) -> Result<Self, ConfigError> {
        let folds = Folds::new(config);
        let rules = compile::rules(config, folds, hasher.is_some())?;
        let simple = |rule: &Rule| rule.condition.is_empty() && rule.allow.is_empty();
        let asks_cluster = |rule: &Rule| {
            let conditions = rule.allow.iter().map(|allow| &allow.condition);
            conditions
                .chain([&rule.condition])
                .any(|condition| !condition.cluster.is_empty())
        };
        Ok(Self {
            is_simple: rules.iter().all(simple),
            asks_cluster: rules.iter().any(asks_cluster),
            rules,
            special: Specials::new(folds.header),
            folds,
            hasher,
        })
    }

    /// Whether the cluster of a request has to be known.
    pub(crate) fn asks_cluster(&self) -> bool {
        self.asks_cluster
    }

    /// Whether all rules are for all requests.
    pub(crate) fn is_simple(&self) -> bool {
        self.is_simple
    }

    /// The rules that are for a request. Without facts, those that are for all.
    pub(crate) fn plan(&self, facts: Option<&Facts>) -> Plan {
        let Some(facts) = facts else {
            let active = |rule| Active {
                rule,
                certain: true,
                allow: 0,
            };
            return Plan((0..self.rules.len()).map(active).collect());
        };
        let mut plan = Plan::default();
        for (rule, own) in self.rules.iter().enumerate() {
            let holds = own.condition.holds(facts);
            if holds == Holds::No {
                continue;
            }
            let allows = |allow: &Allow| allow.condition.holds(facts) == Holds::Yes;
            let bits = own.allow.iter().enumerate();
            let allow = bits.fold(0, |bits, (index, allow)| {
                bits | u64::from(allows(allow)) << index
            });
            plan.0.push(Active {
                rule,
                certain: holds == Holds::Yes,
                allow,
            });
        }
        plan
    }

    /// The rules of a plan.
    pub(crate) fn of<'r>(&'r self, plan: &'r Plan) -> impl Iterator<Item = &'r Rule> {
        plan.0
            .iter()
            .filter_map(|active| self.rules.get(active.rule))
    }

    /// The tokens that rules of a plan name, each with the place of its rule in the plan.
    pub(crate) fn tokens<'r>(&'r self, plan: &Plan) -> Vec<(usize, &'r Jwt)> {
        let named = |(place, active): (usize, &Active)| {
            let rule = self.rules.get(active.rule)?;
            Some((place, rule.jwt.as_ref()?))
        };
        plan.0.iter().enumerate().filter_map(named).collect()
    }

    /// What is said of a token that the rule at `place` names. `None` where an earlier rule that holds takes its
    /// header away, or where nobody knows whether the rule holds and it would stay: it is as good as any value then.
    pub(crate) fn token_action(
        &self,
        plan: &Plan,
        place: usize,
        jwt: &Jwt,
        value: &[u8],
    ) -> Option<Decision> {
        let (before, active) = (plan.0.get(..place)?, plan.0.get(place)?);
        let rule = self.rules.get(active.rule)?;
        let (name, behind) = (&jwt.from, plan.0.get(place + 1..)?);
        let stays = rule.allows(active.allow, Kind::Header, name);
        match self.verdict_of(before, Kind::Header, name, Some(value)) {
            // By a rule that may not hold: neither hides what the other does.
            Verdict::Changes(_) if !stays && jwt.action != JwtAction::Keep => {
                let mut sure = before.iter().filter(|active| active.certain);
                let is_sure = sure.any(|active| {
                    let rule = self.rules.get(active.rule);
                    let item = rule.and_then(|rule| rule.table(Kind::Header).find(name));
                    item.is_some_and(|item| item.concerns(value))
                });
                return (!is_sure).then_some(Decision {
                    action: JwtAction::Remove,
                    ends: active.certain,
                    own: false,
                });
            }
            Verdict::Changes(_) => return None,
            Verdict::Keeps => return Some(Decision::last(JwtAction::Keep)),
            Verdict::Unnamed => {}
        }
        match active.certain {
            true if stays => return Some(Decision::last(JwtAction::Keep)),
            true => return Some(Decision::last(jwt.action)),
            false if stays || jwt.action == JwtAction::Keep => return None,
            false => {}
        }
        // What no later rule would come to see takes nothing away.
        let ends = |active: &Active| {
            let jwt = self
                .rules
                .get(active.rule)
                .and_then(|rule| rule.jwt.as_ref());
            active.certain && jwt.is_some_and(|jwt| jwt.from == *name)
        };
        let end = behind.iter().position(ends).unwrap_or(behind.len());
        let behind = behind.get(..end)?;
        let goes = matches!(
            self.verdict_of(behind, Kind::Header, name, Some(value)),
            Verdict::Changes(_)
        );
        Some(Decision {
            action: if goes { JwtAction::Remove } else { jwt.action },
            ends: false,
            own: !goes,
        })
    }

    /// What is said of a name. `value` is that of a header, which some items look at.
    pub(crate) fn verdict<'r>(
        &'r self,
        plan: &Plan,
        kind: Kind,
        name: &[u8],
        value: Option<&[u8]>,
    ) -> Verdict<'r> {
        self.verdict_of(&plan.0, kind, name, value)
    }

    fn verdict_of<'r>(
        &'r self,
        actives: &[Active],
        kind: Kind,
        name: &[u8],
        value: Option<&[u8]>,
    ) -> Verdict<'r> {
        // What a rule says that may not hold.
        let mut maybe = None;
        for active in actives {
            let Some(rule) = self.rules.get(active.rule) else {
                continue;
            };
            if active.allow != 0 && rule.allows(active.allow, kind, name) {
                if active.certain {
                    return maybe.map_or(Verdict::Keeps, Verdict::Changes);
                }
                continue;
            }
            let Some(item) = rule.table(kind).find(name) else {
                continue;
            };
            if value.is_some_and(|value| !item.concerns(value)) {
                continue;
            }
            match maybe {
                _ if item.keeps() => {}
                // Of two that may be meant neither hides what the other does.
                Some(other) if other != item => return Verdict::Changes(&REMOVE),
                _ => maybe = Some(item),
            }
            if active.certain {
                return maybe.map_or(Verdict::Keeps, Verdict::Changes);
            }
        }
        maybe.map_or(Verdict::Unnamed, Verdict::Changes)
    }

    /// What stays of the addresses in a header: what the first rule says that is for them all, if it is `known`,
    /// or names it. Of rules before it that may not hold, whatever leaves least.
    pub(crate) fn addresses(&self, plan: &Plan, name: &[u8], known: bool) -> Option<Prefixes> {
        let mut found = None;
        for active in &plan.0 {
            let rule = self.rules.get(active.rule);
            let Some((rule, own)) = rule.and_then(|rule| Some((rule, rule.addresses?))) else {
                continue;
            };
            if !known && rule.address_headers.find(name).is_none() {
                continue;
            }
            found = Some(found.map_or(own, |other| own.and(other)));
            if active.certain {
                break;
            }
        }
        found
    }

    /// Whether any rule of the plan looks at headers of requests, or at what stands in them.
    pub(crate) fn looks_at_request(&self, plan: &Plan) -> bool {
        let looks = |rule: &Rule| {
            !rule.is_idle(&Kind::REQUEST) || rule.addresses.is_some() || rule.jwt.is_some()
        };
        self.of(plan).any(looks)
    }

    /// Whether any rule of the plan looks at this kind.
    pub(crate) fn looks_at(&self, plan: &Plan, kind: Kind) -> bool {
        self.of(plan).any(|rule| !rule.is_idle(&[kind]))
    }
}

impl Plan {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Rule {
    fn table(&self, kind: Kind) -> &Table {
        &self.tables[kind as usize]
    }

    fn table_mut(&mut self, kind: Kind) -> &mut Table {
        &mut self.tables[kind as usize]
    }

    /// Whether it names nothing of these kinds.
    fn is_idle(&self, kinds: &[Kind]) -> bool {
        kinds.iter().all(|&kind| self.table(kind).names.is_empty())
    }

    fn allows(&self, bits: u64, kind: Kind, name: &[u8]) -> bool {
        self.allow.iter().enumerate().any(|(index, allow)| {
            let names = allow.names.get(kind as usize);
            bits >> index & 1 == 1 && names.is_some_and(|names| names.find(name).is_some())
        })
    }
}

impl Table {
    fn new(fold: Fold) -> Self {
        Self {
            names: Names::new(fold),
            items: Vec::new(),
        }
    }

    fn find(&self, name: &[u8]) -> Option<&Item> {
        self.items.get(self.names.find(name)?)
    }
}

impl Folds {
    fn of(self, kind: Kind) -> Fold {
        match kind {
            Kind::Header | Kind::ResponseHeader => self.header,
            Kind::Cookie | Kind::SetCookie => self.cookie,
            Kind::Parameter => self.parameter,
        }
    }

    fn new(config: &Place<'_>) -> Self {
        let matching = config.get("name_matching");
        let flag = |key| {
            matching
                .as_ref()
                .is_none_or(|matching| matching.flag(key, true))
        };
        Self {
            header: Fold::Header {
                hyphens: flag("underscore_equals_hyphen"),
            },
            cookie: Fold::Parameter {
                case: !flag("cookies_ignore_case"),
            },
            parameter: Fold::Parameter {
                case: !flag("query_ignores_case"),
            },
        }
    }
}
