function envoy_on_request(handle)
  local body = handle:body()
  local bytes = body and body:getBytes(0, body:length()) or ""
  handle:headers():add("x-bench", tostring(#bytes))
end
