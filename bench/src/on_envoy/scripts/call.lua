function envoy_on_request(handle)
  local request = { [":method"] = "GET", [":path"] = "/check", [":authority"] = "callee" }
  local headers = handle:httpCall("callee", request, nil, 5000)
  if headers[":status"] ~= "200" then
    handle:respond({ [":status"] = "403" })
    return
  end
  handle:headers():add("x-bench", "1")
end
