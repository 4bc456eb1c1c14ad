function envoy_on_request(handle)
  local headers = handle:headers()
  headers:add("x-bench", "1")
  headers:add("x-bench-2", "1")
  headers:add("x-bench-3", "1")
  headers:add("x-bench-4", "1")
  headers:add("x-bench-5", "1")
end

function envoy_on_response(handle)
  local headers = handle:headers()
  headers:add("x-out", "1")
  headers:add("x-out-2", "1")
  headers:add("x-out-3", "1")
  headers:add("x-out-4", "1")
  headers:add("x-out-5", "1")
end
