//! How a registry lets a question in.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Response, Url};

use super::connection::{Ask, Connection, MESSAGE_LIMIT, Right, SILENCE, is_loopback};
use super::credentials::Credentials;
use super::error::RegistryError;
use super::options::Access;
use super::reference::Reference;
use super::token::{Challenge, Question, Token, basic};

impl Connection {
    /// Meets the challenge of a registry, where there is a way to.
    pub(super) async fn authorize(
        &self,
        ask: &Ask<'_>,
        response: &Response,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        let fail = |why: String| RegistryError::Challenge {
            registry: ask.reference.registry().to_owned(),
            why,
        };
        let headers = response.headers().get_all(WWW_AUTHENTICATE).iter();
        let texts: Vec<&str> = headers.filter_map(|value| value.to_str().ok()).collect();
        let challenge = Challenge::read(&texts.join(", ")).map_err(fail)?;
        let who = self.who(ask.reference)?;
        let (text, seconds) = match challenge {
            Challenge::Basic => match basic(&who) {
                Some(text) => (text, 3_600),
                None => return Ok(None),
            },
            Challenge::Bearer { realm, service, .. } => {
                let token = self.token(ask, &realm, service.as_deref(), &who).await?;
                (format!("Bearer {}", token.text), token.seconds)
            }
        };
        let mut header = HeaderValue::from_str(&text)
            .map_err(|_| fail("the token cannot stand in a header".to_owned()))?;
        header.set_sensitive(true);
        let until = Instant::now() + Duration::from_secs(seconds.saturating_sub(10));
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(key(ask), (header.clone(), until));
        Ok(Some(header))
    }

    pub(super) fn who(&self, reference: &Reference) -> Result<Credentials, RegistryError> {
        Ok(match &self.options.access {
            Access::Kept => Credentials::kept_for(reference.registry(), reference.repository())?,
            Access::As(credentials) => credentials.clone(),
        })
    }

    async fn token(
        &self,
        ask: &Ask<'_>,
        realm: &str,
        service: Option<&str>,
        who: &Credentials,
    ) -> Result<Token, RegistryError> {
        let fail = |why: String| RegistryError::Challenge {
            registry: ask.reference.registry().to_owned(),
            why,
        };
        let realm: Url = realm
            .parse()
            .map_err(|_| fail("its realm is no address".to_owned()))?;
        // Whoever answers in the registry's place must not get a password in the clear.
        let named = realm.host_str().map(|host| match realm.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        });
        let is_plain = ask.url.scheme() == "http"
            && (realm.host_str() == ask.url.host_str()
                || named.is_some_and(|host| self.is_plain(&host)));
        if realm.scheme() != "https" && !is_plain {
            return Err(fail("its realm is not `https`".to_owned()));
        }
        let question = Question::new(realm, service, &scope(ask), who);
        let is_near = question.url.host_str().is_some_and(is_loopback);
        let [near, elsewhere] = &self.realms;
        let client = if is_near { near } else { elsewhere };
        let mut request = match question.form {
            Some(form) => client
                .post(question.url)
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form),
            None => client.get(question.url),
        };
        if let Some(authorization) = question.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let mut response = self.in_time(ask, SILENCE, request.send()).await?;
        let status = response.status();
        if !status.is_success() {
            return Err(self.refused(ask, status, response).await);
        }
        let answer = self
            .document(ask, &mut response, MESSAGE_LIMIT as u64)
            .await?;
        Token::read(&answer).ok_or_else(|| fail("its realm answers without a token".to_owned()))
    }
}

fn scope(ask: &Ask<'_>) -> String {
    let repository = ask.reference.repository();
    match ask.right {
        Right::Pull => format!("repository:{repository}:pull"),
        Right::Push => format!("repository:{repository}:pull,push"),
        Right::Catalog => "registry:catalog:*".to_owned(),
    }
}

pub(super) fn key(ask: &Ask<'_>) -> String {
    format!("{} {}", ask.reference.host(), scope(ask))
}
