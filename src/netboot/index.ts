export { answerBytes, type BytesAnswer, type BytesRequest } from "./bytes.ts";
export { dnsmasqConfig, type DhcpOptions } from "./dhcp.ts";
