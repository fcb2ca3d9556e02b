export { missingReferences, type ReferencePorts } from "./references.ts";
export { parseProductName, productDataSchema, readCatalog, type Product, type ProductData } from "./schema.ts";
export { migrations, openCatalog, type Catalog } from "./store.ts";
