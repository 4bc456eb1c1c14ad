function envoy_on_request(handle)
  handle:headers():add("x-bench", "1")
end

function envoy_on_response(handle)
  handle:headers():remove("x-powered-by")
end
