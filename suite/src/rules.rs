//! Which rules of a configuration the cases of a suite need: those without which one of them fails.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Value, json};

use crate::report::{End, Report};
use crate::suite::{Suite, Target};

/// The key whose lists hold rules, wherever it stands in a configuration.
const RULES: &str = "rules";

/// The rules of the configurations of a suite.
///
/// `Display` prints a line for each.
#[derive(Clone, Debug, Default)]
pub struct RuleCoverage(Vec<Rule>);

/// One of them.
#[derive(Clone, Debug)]
struct Rule {
    plugin: String,
    /// Where it stands, as a JSON Pointer.
    place: String,
    need: Need,
}

/// What becomes of the cases without a rule.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Need {
    Needed,
    Unneeded,
    /// Lists without a rule are often refused, which says nothing of the rule.
    OnlyOne,
    /// For this reason.
    NotTried(String),
}

impl Need {
    fn name(&self) -> &'static str {
        match self {
            Self::Needed => "needed",
            Self::Unneeded => "not needed",
            Self::OnlyOne => "the only one, not tried",
            Self::NotTried(_) => "not tried",
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Self::NotTried(reason) => Some(reason),
            _ => None,
        }
    }
}

impl Suite {
    /// Plays on the harness, without one rule after the other, the cases that passed in `report` and pass there
    /// with all rules. A rule that cannot be tried says why.
    #[must_use]
    pub fn rule_coverage(&self, report: &Report) -> RuleCoverage {
        let mut suite = self.clone();
        suite.keep_passed(report);
        let configurations = suite.configurations();
        if configurations.is_empty() {
            return RuleCoverage::default();
        }
        // The report may be another Envoy's; what fails on the harness anyway says nothing of a rule.
        let trouble = match suite.run_on(&Target::Harness) {
            Ok(unchanged) => {
                suite.keep_passed(&unchanged);
                None
            }
            Err(error) => Some(error.to_string()),
        };
        let mut rules = Vec::new();
        for (plugin, text) in configurations {
            let Ok(configuration) = serde_json::from_str::<Value>(&text) else {
                continue;
            };
            let mut lists = Vec::new();
            places("", &configuration, &mut lists);
            for (list, count) in lists {
                for number in 0..count {
                    let need = match (&trouble, count) {
                        (Some(reason), _) => Need::NotTried(reason.clone()),
                        (None, 1) => Need::OnlyOne,
                        _ => suite.need(&plugin, &text, &without(&configuration, &list, number)),
                    };
                    rules.push(Rule {
                        plugin: plugin.clone(),
                        place: format!("{list}/{number}"),
                        need,
                    });
                }
            }
        }
        RuleCoverage(rules)
    }

    fn keep_passed(&mut self, report: &Report) {
        let passed: BTreeSet<&str> = report
            .cases
            .iter()
            .filter(|case| case.passed())
            .map(|case| case.name.as_str())
            .collect();
        self.plans
            .retain(|plan| passed.contains(plan.name.as_str()));
    }

    /// The plugins with a configuration, each pair once.
    fn configurations(&self) -> BTreeSet<(String, String)> {
        let mut all = BTreeSet::new();
        for mut case in self.plans.iter().map(|plan| plan.case.clone()) {
            for plugin in case.plugins_mut() {
                let configuration = plugin.configuration.clone();
                all.extend(configuration.map(|text| (plugin.name.clone(), text)));
            }
        }
        all
    }

    /// Whether a case fails where a plugin has another configuration.
    fn need(&self, plugin: &str, text: &str, other: &str) -> Need {
        let mut suite = self.clone();
        suite.plans.retain_mut(|plan| {
            let mut found = false;
            for filter in plan.case.plugins_mut() {
                if filter.name == plugin && filter.configuration.as_deref() == Some(text) {
                    filter.configuration = Some(other.to_owned());
                    found = true;
                }
            }
            found
        });
        if suite.plans.is_empty() {
            return Need::NotTried("no case with it passes on the harness".to_owned());
        }
        let report = match suite.run_on(&Target::Harness) {
            Ok(report) => report,
            Err(error) => return Need::NotTried(error.to_string()),
        };
        let mut failed = report.cases.iter().filter(|case| !case.passed()).peekable();
        if failed.peek().is_none() {
            Need::Unneeded
        } else if failed.all(|case| case.end == Some(End::Refused)) {
            Need::NotTried("the filter refuses the configuration without it".to_owned())
        } else {
            Need::Needed
        }
    }
}

/// The lists of rules, each with how many it has.
fn places(place: &str, value: &Value, found: &mut Vec<(String, usize)>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let below = format!("{place}/{}", key.replace('~', "~0").replace('/', "~1"));
                match value.as_array().filter(|_| key == RULES) {
                    Some(list) => found.push((below, list.len())),
                    None => places(&below, value, found),
                }
            }
        }
        Value::Array(list) => {
            for (number, value) in list.iter().enumerate() {
                places(&format!("{place}/{number}"), value, found);
            }
        }
        _ => {}
    }
}

fn without(configuration: &Value, list: &str, number: usize) -> String {
    let mut configuration = configuration.clone();
    if let Some(Value::Array(list)) = configuration.pointer_mut(list) {
        list.remove(number);
    }
    configuration.to_string()
}

impl RuleCoverage {
    /// One object for each rule, for programs: `plugin`, `rule` and `need`, with a `reason` where it was not tried.
    #[must_use]
    pub fn json_lines(&self) -> Vec<Value> {
        let line = |it: &Rule| {
            let mut line = json!({ "plugin": it.plugin, "rule": it.place, "need": it.need.name() });
            if let Some(reason) = it.need.reason() {
                line["reason"] = reason.into();
            }
            line
        };
        self.0.iter().map(line).collect()
    }
}

impl fmt::Display for RuleCoverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = "";
        for Rule {
            plugin,
            place,
            need,
        } in &self.0
        {
            if plugin != last {
                writeln!(
                    f,
                    "rules of {plugin}, and whether a case fails without them"
                )?;
                last = plugin;
            }
            write!(f, "  {place:<40} {}", need.name())?;
            match need.reason() {
                Some(reason) => writeln!(f, ": {reason}")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}
