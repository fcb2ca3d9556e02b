export { migrations, openTokenStore, type Token, type TokenStore } from "./store.ts";
