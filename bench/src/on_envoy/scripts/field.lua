-- A field of a body by a pattern, which is what a script without a JSON library has. It meets the first
-- member of that name wherever it stands, and reads no escapes.
function envoy_on_request(handle)
  local body = handle:body()
  if not body then
    return
  end
  local text = body:getBytes(0, body:length())
  local changed = text:gsub('("role"%s*:%s*)"[^"]*"', '%1"guest"', 1)
  local length = body:setBytes(changed)
  handle:headers():replace("content-length", tostring(length))
end
