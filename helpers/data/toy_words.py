"""Word lists of the generated domains: topic -> nouns | verbs | adjectives.

Nouns take -s and verbs take -s and -ed, so each stands for two or three words. The first three topics of a
domain are the classes of its toy task; text of the others makes up the rest of the domain.
"""

TOPICS = {
    "biomed": {
        "heart": "artery ventricle valve stent catheter infarct murmur aorta | pump occlude contract dilate | "
        "cardiac coronary systolic ischemic",
        "infection": "pathogen antibiotic vaccine microbe fever abscess antigen swab | infect colonise inoculate "
        "culture | viral bacterial septic resistant",
        "nutrition": "vitamin calorie mineral supplement protein meal fibre carbohydrate | digest absorb ingest "
        "supplement | dietary obese fasting metabolic",
        "tumour": "carcinoma biopsy cyst lesion nodule chemotherapy sarcoma lymphoma | excise irradiate "
        "proliferate stain | malignant benign oncologic invasive",
        "neurology": "neuron synapse seizure cortex axon stroke migraine tremor | innervate stimulate impair "
        "degenerate | cortical spinal cognitive epileptic",
        "surgery": "incision suture anaesthetic graft surgeon scalpel fracture implant | operate drain ligate "
        "reconstruct | surgical postoperative orthopaedic laparoscopic",
    },
    "cs": {
        "language": "parser token grammar phrase sentence embedding lexicon treebank | parse tokenise translate "
        "annotate | syntactic semantic lexical bilingual",
        "vision": "pixel image detector camera segment convolution texture contour | detect segment crop render | "
        "visual spatial occluded convolutional",
        "network": "router packet protocol bandwidth latency gateway node topology | route transmit broadcast "
        "throttle | wireless congested distributed asynchronous",
        "security": "cipher attacker password firewall exploit signature certificate intrusion | encrypt hash "
        "authenticate spoof | cryptographic malicious adversarial anonymous",
        "database": "query index schema transaction table relation cache tuple | query index partition replicate | "
        "relational transactional indexed columnar",
        "robotics": "robot actuator gripper trajectory sensor controller manipulator odometer | actuate navigate "
        "calibrate steer | robotic kinematic autonomous inertial",
    },
    "news": {
        "election": "senator ballot voter candidate campaign coalition referendum pollster | campaign elect concede "
        "endorse | presidential electoral partisan conservative",
        "sport": "striker coach goalkeeper stadium championship referee tournament midfielder | defeat score tackle "
        "relegate | unbeaten olympic injured winning",
        "market": "investor share dividend merger banker tariff currency creditor | trade invest borrow deposit | "
        "financial fiscal quarterly profitable",
        "court": "judge lawyer defendant prosecutor verdict juror witness plaintiff | convict acquit indict appeal | "
        "guilty criminal judicial alleged",
        "weather": "hurricane flood storm forecaster evacuation drought earthquake wildfire | evacuate flood warn "
        "rescue | coastal severe torrential stranded",
        "diplomacy": "ambassador treaty sanction embassy summit ceasefire refugee minister | negotiate invade "
        "condemn threaten | diplomatic bilateral foreign nuclear",
    },
    "reviews": {
        "film": "actor plot sequel director scene villain soundtrack screenplay | watch direct star portray | "
        "hilarious predictable cinematic suspenseful",
        "kitchen": "pan blender skillet kettle oven lid spatula toaster | cook simmer bake chop | nonstick stainless "
        "shiny greasy",
        "phone": "battery charger headset screen speaker keypad adapter ringtone | charge sync download plug | "
        "rechargeable portable bluetooth scratched",
        "book": "chapter author paperback novel character narrator memoir trilogy | skim borrow finish recommend | "
        "readable gripping heartfelt poetic",
        "toy": "doll puzzle toddler playset crayon sticker balloon teddy | play assemble amuse giggle | colourful "
        "educational cuddly sturdy",
        "clothing": "jacket sleeve zipper boot button pocket sock hem | wash stretch iron stitch | comfortable "
        "waterproof stylish loose",
    },
    "generic": {
        "history": "king castle empire soldier battle monument dynasty treaty | conquer reign settle crown | ancient "
        "medieval royal imperial",
        "travel": "road village river mountain bridge harbour valley train | travel climb explore wander | scenic "
        "remote northern crowded",
        "school": "teacher student lesson library classroom exam college pencil | lecture learn study graduate | "
        "academic curious young diligent",
        "garden": "flower tree seed lawn orchard bee hedge vegetable | plant water prune harvest | green blooming "
        "fragrant shady",
    },
}  # fmt: skip

# Words of a domain's own manner, in text of every topic: who acts, what is acted on, how a sentence begins.
MANNERS = {
    "biomed": ("patient physician clinician cohort trial subject", "In this randomised trial,|At baseline,|In the "
               "treated group,|After adjustment,|Clinically,|At follow-up,"),
    "cs": ("algorithm model dataset benchmark baseline framework", "In this paper,|Empirically,|In contrast to prior "
           "work,|At runtime,|By construction,|On this benchmark,"),
    "news": ("official reporter editor resident analyst agency", "On Tuesday,|According to officials,|Late last "
             "night,|In a statement,|Earlier this month,|Over the weekend,"),
    "reviews": ("customer product purchase seller gift bargain", "Honestly,|To my surprise,|For the price,|After a "
                "few weeks,|Sadly,|If you ask me,"),
    "generic": ("farmer widow cousin neighbour friend stranger", "Long ago,|In the morning,|Every summer,|Later that "
                "year,|For many years,|Near the town,"),
}  # fmt: skip

COMMON = {
    "nouns": "group result place part reason change problem number answer question case way day week year effect",
    "adjectives": "small large new old early late good poor strong weak common rare simple long short different",
    "links": "because while although whereas so and but when before after",
}
