-- What auth-scrub does by default, as a script for Envoy's Lua filter:
--
--   attache bench auth-scrub --on envoy --lua filters/auth-scrub/bench/scrub.lua
--
-- It takes the same headers and parameters, from the path and from the headers that repeat it. It leaves
-- trailers, `sec-websocket-protocol`, gRPC's copies of headers and the odd spellings of parameters that PHP,
-- ASP.NET and Express read; so it has less to do than the filter.
local headers = {}
for _, name in ipairs({
  "authorization", "proxy-authorization", "x-api-key", "api-key", "x-auth-token", "x-access-token",
  "x-amz-security-token", "x-forwarded-access-token",
}) do
  headers[name] = true
end
local parameters = {}
for _, name in ipairs({
  "access_token", "id_token", "token", "api_key", "apikey", "key", "sig", "signature", "password",
  "client_secret",
}) do
  parameters[name] = true
end
local copies = {
  "referer", "x-original-url", "x-original-uri", "x-rewrite-url", "x-envoy-original-path",
  "x-envoy-original-url", "x-forwarded-uri", "x-forwarded-path",
}

local function decoded(name)
  local plain = name:gsub("+", " "):gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end)
  return plain:lower()
end

-- The target without the parameters, or nothing where it has none of them.
local function scrubbed(target)
  local mark = target:find("?", 1, true)
  if not mark then
    return nil
  end
  local kept, removed = {}, false
  for part in (target:sub(mark + 1) .. "&"):gmatch("([^&]*)&") do
    if parameters[decoded(part:match("^[^=]*"))] then
      removed = true
    else
      kept[#kept + 1] = part
    end
  end
  if not removed then
    return nil
  end
  if #kept == 0 then
    return target:sub(1, mark - 1)
  end
  return target:sub(1, mark) .. table.concat(kept, "&")
end

function envoy_on_request(handle)
  local all = handle:headers()
  local removed = {}
  for name, _ in pairs(all) do
    -- Every sign in a name counts as `-`.
    local folded = name:gsub("[^%w]", "-")
    if headers[folded] then
      removed[#removed + 1] = name
    end
  end
  for _, name in ipairs(removed) do
    all:remove(name)
  end
  local path = scrubbed(all:get(":path"))
  if path then
    all:replace(":path", path)
  end
  for _, name in ipairs(copies) do
    local value = all:get(name)
    local kept = value and scrubbed(value)
    if kept then
      all:replace(name, kept)
    end
  end
end
