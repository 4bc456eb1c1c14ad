//! `attache sign` and `attache verify`

use std::path::Path;

use anyhow::bail;
use attache_package::signing::{
    Identity, Policy, PublicKey, SigningKey, Trusted, Verdict, sign as signed,
};
use attache_package::{Graph, Layout};
use serde_json::json;

use super::arguments::{Sign, Verify};
use super::place::Place;
use super::push::in_folder;
use super::remote::{clear, fields, say_left_out, shown, wait};
use super::{print, stage};

pub(super) fn sign(arguments: &Sign) -> anyhow::Result<()> {
    if let Some(name) = &arguments.new_key {
        return new_key(name, arguments.json);
    }
    let (Some(image), Some(key)) = (&arguments.image, &arguments.key) else {
        bail!(
            "name an image and a key: attache sign IMAGE --key FILE; `--new-key NAME` makes a key"
        );
    };
    let key = SigningKey::read(key)?;
    let (name, digest) = match Place::find(image)? {
        Place::Folder(folder, tag) => {
            let (mut graph, tag) = in_folder(&folder, tag)?;
            signed(&mut graph, &key)?;
            Layout::open(&folder)?.put(&graph, &tag)?;
            (
                format!("oci:{}:{tag}", folder.display()),
                graph.descriptor().digest,
            )
        }
        Place::Registry(reference) => {
            let client = arguments.remote.client_without_policy()?;
            let root = wait(async { Ok(client.describe(&reference).await?) })?;
            let digest = root.digest;
            let mut graph = Graph::about(root);
            signed(&mut graph, &key)?;
            let reference = reference.pinned(digest);
            stage("Signing", &reference);
            let pushed = wait(async { Ok(client.push(&graph, &reference).await?) });
            clear();
            pushed?;
            (reference.to_string(), digest)
        }
    };
    let fingerprint = key.public()?.fingerprint();
    let text = match arguments.json {
        true => format!(
            "{}\n",
            json!({ "image": name, "digest": digest, "key": fingerprint })
        ),
        false => format!("{name}\n  signed    {digest}\n  key       {fingerprint}\n"),
    };
    Ok(print(&text)?)
}

fn new_key(name: &Path, as_json: bool) -> anyhow::Result<()> {
    let (key, private, public) = SigningKey::create(name)?;
    let fingerprint = key.public()?.fingerprint();
    let text = match as_json {
        true => {
            let line = json!({ "private": private, "public": public, "key": fingerprint });
            format!("{line}\n")
        }
        false => format!(
            "{}\n  public    {}\n  key       {fingerprint}\n\nKeep {} secret; the public one goes to who verifies.\n",
            private.display(),
            public.display(),
            private.display(),
        ),
    };
    Ok(print(&text)?)
}

pub(super) fn verify(arguments: &Verify) -> anyhow::Result<()> {
    let policy = policy(arguments)?;
    let (name, graph, verdict) = match Place::find(&arguments.image)? {
        Place::Folder(folder, tag) => {
            let (graph, tag) = in_folder(&folder, tag)?;
            let name = format!("oci:{}:{tag}", folder.display());
            let verdict = graph.judge(&policy, &name)?;
            (name, graph, verdict)
        }
        Place::Registry(reference) => {
            let client = arguments.remote.client_without_policy()?;
            stage("Fetching", &reference);
            let graph = wait(async { Ok(client.signatures(&reference).await?) });
            clear();
            let graph = graph?;
            let verdict = graph.judge(&policy, &reference.name())?;
            let pinned = reference.pinned(graph.descriptor().digest);
            (pinned.to_string(), graph, verdict)
        }
    };
    say_left_out(&graph);
    if arguments.json {
        let (signers, allowed_by) = fields(&verdict);
        let digest = graph.descriptor().digest;
        let line = json!({
            "image": name, "digest": digest, "signers": signers, "allowed_by": allowed_by,
        });
        print(&format!("{line}\n"))?;
    } else {
        print(&format!("{name}\n{}", shown(&verdict)))?;
    }
    match verdict {
        Verdict::Unsigned { by } if !arguments.allow_unsigned => bail!(
            "nothing is verified: nobody who is trusted has signed `{name}`, and {by} lets it in all the same; with --allow-unsigned that is enough"
        ),
        _ => Ok(()),
    }
}

fn policy(arguments: &Verify) -> anyhow::Result<Policy> {
    let mut trusted = Trusted::default();
    for path in &arguments.key {
        trusted.keys.push(PublicKey::read(path)?);
    }
    if let (Some(subject), Some(issuer)) = (&arguments.identity, &arguments.issuer) {
        let (subject, issuer) = (subject.clone(), issuer.clone());
        trusted.identities.push(Identity { issuer, subject });
    }
    let by_words = !trusted.keys.is_empty() || !trusted.identities.is_empty();
    match (&arguments.trust.policy, by_words) {
        (Some(path), false) => Ok(Policy::read(path)?),
        (None, true) => {
            if let Some(path) = &arguments.trusted_root {
                trusted.set_root(path)?;
            }
            Ok(Policy::of(trusted))
        }
        (Some(_), true) => {
            bail!("--policy says whose signatures count: leave out --key and --identity")
        }
        (None, false) => bail!(
            "whose signature is wanted? Name a key (--key FILE.pub), an identity (--identity and --issuer), or a --policy"
        ),
    }
}
