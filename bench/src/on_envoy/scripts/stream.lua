function envoy_on_request(handle)
  local length = 0
  for piece in handle:bodyChunks() do
    length = length + #piece:getBytes(0, piece:length())
  end
end
