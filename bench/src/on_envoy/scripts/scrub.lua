-- What auth-scrub does by default, as a script.
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

local function decoded(name)
  local plain = name:gsub("+", " "):gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end)
  return plain:lower()
end

local function scrubbed(path)
  local mark = path:find("?", 1, true)
  if not mark then
    return nil
  end
  local kept, removed = {}, false
  for part in (path:sub(mark + 1) .. "&"):gmatch("([^&]*)&") do
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
    return path:sub(1, mark - 1)
  end
  return path:sub(1, mark) .. table.concat(kept, "&")
end

function envoy_on_request(handle)
  local all = handle:headers()
  local removed = {}
  for name, _ in pairs(all) do
    local folded = name:gsub("[_.]", "-")
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
end
