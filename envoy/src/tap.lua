local function shown(text)
  return (text:gsub("[^\32-\126]", function(byte)
    return string.format("\\x%02x", byte:byte())
  end))
end
local function tell(handle, part, text)
  handle:streamInfo():dynamicMetadata():set(NAMESPACE, NAME .. " " .. part, text)
end
local function tap(handle, part)
  local lines = {}
  for name, value in pairs(handle:headers()) do
    lines[#lines + 1] = shown(name) .. ": " .. shown(value)
  end
  tell(handle, part, table.concat(lines, "\n"))
  local length, sum, start = 0, 0, ""
  for chunk in handle:bodyChunks() do
    local bytes = chunk:getBytes(0, chunk:length())
    for at = 1, #bytes do
      sum = (sum * 31 + bytes:byte(at)) % 4294967296
    end
    start = start .. bytes:sub(1, 200 - #start)
    length = length + #bytes
  end
  tell(handle, part .. "-body", string.format("%d %d %s", length, sum, shown(start)))
end
function envoy_on_request(handle)
  tap(handle, "request")
end
function envoy_on_response(handle)
  tap(handle, "response")
end
