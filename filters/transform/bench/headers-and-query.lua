-- What headers-and-query.json has transform do, as a script for Envoy's Lua filter.
function envoy_on_request(handle)
  local headers = handle:headers()
  local path = headers:get(":path")
  if path:sub(1, 7) ~= "/orders" then
    return
  end
  headers:replace("x-bench", "1")
  headers:remove("x-tenant")
  local mark = path:find("?", 1, true)
  local kept = {}
  if mark then
    for part in (path:sub(mark + 1) .. "&"):gmatch("([^&]*)&") do
      if part:match("^[^=]*") ~= "tenant" then
        kept[#kept + 1] = part
      end
    end
    path = path:sub(1, mark - 1)
  end
  kept[#kept + 1] = "tenant=acme"
  headers:replace(":path", path .. "?" .. table.concat(kept, "&"))
end
