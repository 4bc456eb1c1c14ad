//! What goes by default. The README's table is held against these by a test.

pub(crate) const HEADERS: [&str; 8] = [
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-auth-token",
    "x-access-token",
    "x-amz-security-token",
    "x-forwarded-access-token",
];

pub(crate) const PARAMETERS: [&str; 10] = [
    "access_token",
    "id_token",
    "token",
    "api_key",
    "apikey",
    "key",
    "sig",
    "signature",
    "password",
    "client_secret",
];
